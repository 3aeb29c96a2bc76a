"""Which wheels the engine's own image is made of: those of a folder, or of what is installed beside this engine."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

import attrs
from packaging.utils import canonicalize_name

from modelyard.api import UserError
from modelyard.environments.distributions.fitting import check_fit
from modelyard.environments.distributions.repacking import NotRepackable, repack, revision_of
from modelyard.environments.distributions.wheels import WheelFile, read_wheel

ENGINE = "modelyard"
CORE = (ENGINE, "modelyard-runtime")
"""Without these there is no engine."""
RELEASE = (*CORE, *(f"modelyard-{one}" for one in ("auth", "cpu", "fpga", "gpu", "registry")))
"""What is built and released together."""
_PLUGINS = "modelyard"
"""The group of entry points by which a plugin is known."""


@attrs.frozen
class Gathered:
    """Wheels by name, what was left out with why, and the revision of the source where it is known."""

    wheels: tuple[WheelFile, ...]
    left_out: tuple[str, ...] = ()
    revision: str = ""

    @property
    def version(self) -> str:
        """The engine's own."""
        return next(str(one.version) for one in self.wheels if one.name == ENGINE)


def gather_folder(folder: Path) -> Gathered:
    """Take every wheel of a folder; a whole release must be among them. Raises `UserError`."""
    if not folder.is_dir():
        raise UserError("there is no such folder", place=str(folder), remedy="`make packaging` makes dist")
    wheels = [read_wheel(path) for path in sorted(folder.glob("*.whl"))]
    check_fit(wheels, needed=RELEASE, place=str(folder))
    return Gathered(_by_name(wheels))


def gather_installed(folder: Path, installed: Iterable[Distribution] | None = None) -> Gathered:
    """Make wheels, in a folder, of the engine and the plugins that are installed; None = beside this engine.

    A plugin that cannot be made one is left out. Raises `UserError` where the engine itself cannot.
    """
    known: dict[str, Distribution] = {
        canonicalize_name(one.metadata["Name"]): one for one in reversed(list(installed or distributions()))
    }
    wheels, left_out = [], []
    for name in sorted(known):
        if name not in CORE and not known[name].entry_points.select(group=_PLUGINS):
            continue
        try:
            wheels.append(read_wheel(repack(known[name], folder)))
        except NotRepackable as why:
            if name in CORE:
                raise _only_sources(name, why) from why
            left_out.append(f"{name}: {why}")
    check_fit(wheels, needed=CORE, place="what is installed")
    return Gathered(_by_name(wheels), tuple(left_out), revision_of(known[ENGINE]))


def _by_name(wheels: list[WheelFile]) -> tuple[WheelFile, ...]:
    return tuple(sorted(wheels, key=lambda one: one.name))


def _only_sources(name: str, why: NotRepackable) -> UserError:
    return UserError(
        f"no wheel can be made of the installed {name}: {why}",
        place=name,
        remedy="run `make packaging` in the checkout and pass `--wheels dist`",
    )
