"""Where the engine keeps what it knows: `$MODELYARD_HOME`, else the XDG folders.

One fact, one place: every other room is handed a `Home` and never spells a path of its own.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attrs

from modelyard.api import UserError

SOCKET_PATH_LIMIT = 100
"""Unix socket paths end at 107 bytes on Linux and 103 on macOS."""
_LONGEST_SOCKET = len("/replicas/") + 45 + len("/http.sock")


@attrs.frozen
class Home:
    """The engine's folders. `run` holds sockets and is private (0700)."""

    state: Path
    cache: Path
    run: Path

    @property
    def settings_file(self) -> Path:
        """`engine` settings (YAML); optional."""
        return self.state / "settings.yaml"

    @property
    def store_file(self) -> Path:
        """The SQLite store."""
        return self.state / "store.sqlite3"

    @property
    def keys(self) -> Path:
        """Clear keys, one 0600 file a service."""
        return self.state / "keys"

    @property
    def snapshots(self) -> Path:
        """Code trees by digest."""
        return self.state / "snapshots"

    @property
    def models(self) -> Path:
        """Model trees by digest."""
        return self.state / "models"

    @property
    def registry(self) -> Path:
        """The embedded OCI layout."""
        return self.state / "registry"

    @property
    def logs(self) -> Path:
        """`controller.log`, `router.log` and `replicas/<id>/`."""
        return self.state / "logs"

    @property
    def router_state(self) -> Path:
        """The router's last-good snapshot and its parent's state; survives a reboot."""
        return self.state / "router"

    @property
    def environments(self) -> Path:
        """Environments by lock key."""
        return self.cache / "environments"

    @property
    def conda(self) -> Path:
        """Packages of conda, and what their channels list."""
        return self.cache / "conda"

    @property
    def bases(self) -> Path:
        """What was found in base images, by digest."""
        return self.cache / "bases"

    @property
    def builds(self) -> Path:
        """What builds of images have in Docker's daemon, noted until it is removed there."""
        return self.cache / "builds"

    @property
    def controller_socket(self) -> Path:
        """The management API."""
        return self.run / "controller.sock"

    @property
    def xds_socket(self) -> Path:
        """The controller's ADS and LRS."""
        return self.run / "xds.sock"

    @property
    def router_run(self) -> Path:
        """The router parent's sockets."""
        return self.run / "router"

    @property
    def replicas(self) -> Path:
        """One folder a replica: contract, state, socket."""
        return self.run / "replicas"

    def create(self) -> None:
        """Make the folders; private ones 0700. Refuses a run folder that somebody else owns."""
        for folder in (self.state, self.cache, self.snapshots, self.models, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.run, self.keys, self.router_run, self.replicas, self.router_state):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_private(folder)


def find_home(environ: Mapping[str, str]) -> Home:
    """Work out the folders from the environment; creates nothing."""
    if root := environ.get("MODELYARD_HOME"):
        base = Path(root).expanduser().resolve()
        return Home(state=base, cache=base / "cache", run=_short(base / "run"))
    user = Path(environ.get("HOME") or Path.home())
    state = Path(environ.get("XDG_STATE_HOME") or user / ".local/state") / "modelyard"
    cache = Path(environ.get("XDG_CACHE_HOME") or user / ".cache") / "modelyard"
    runtime = environ.get("XDG_RUNTIME_DIR")
    run = Path(runtime) / "modelyard" if runtime else state / "run"
    return Home(state=state, cache=cache, run=_short(run))


def _short(run: Path) -> Path:
    if len(os.fsencode(run)) + _LONGEST_SOCKET <= SOCKET_PATH_LIMIT:
        return run
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"modelyard-{os.getuid()}-{digest}"


def _make_private(folder: Path) -> None:
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise UserError(
            "the folder for sockets belongs to somebody else",
            place=str(folder),
            remedy="remove it, or set MODELYARD_HOME to a folder of your own",
        )
    folder.chmod(0o700)
