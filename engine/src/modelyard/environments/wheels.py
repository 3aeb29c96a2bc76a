"""The runtime's wheel: it travels inside the engine, so that no package index needs to have it."""

from __future__ import annotations

import email.parser
import functools
import hashlib
import zipfile
from importlib import resources
from pathlib import Path

import attrs
from packaging.requirements import Requirement

from modelyard.api import SystemError_

NAME = "modelyard-runtime"
EXTRA = "serve"


@attrs.frozen
class RuntimeWheel:
    """A wheel of the runtime: where it lies, its SHA-256, and what its `serve` extra requires."""

    path: Path
    digest: str
    requires: tuple[str, ...]

    @property
    def requirement(self) -> str:
        """The line that makes a resolver take exactly this wheel."""
        return f"{NAME}[{EXTRA}] @ {self.path.as_uri()}"


@functools.cache
def bundled_runtime() -> RuntimeWheel:
    """Return the wheel that this engine brings along."""
    folder = Path(str(resources.files("modelyard"))) / "_bundled"
    wheels = sorted(folder.glob("modelyard_runtime-*.whl"))
    if len(wheels) != 1:
        raise SystemError_(
            f"the engine brings {len(wheels)} runtime wheels instead of one",
            place=str(folder),
            remedy="install modelyard again; in a checkout, run `python engine/bundle_runtime.py`",
        )
    return read_runtime(wheels[0])


def read_runtime(path: Path) -> RuntimeWheel:
    """Read a runtime wheel's digest and requirements."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as wheel:
        name = next(entry for entry in wheel.namelist() if entry.endswith(".dist-info/METADATA"))
        metadata = email.parser.BytesParser().parsebytes(wheel.read(name))
    needs = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    return RuntimeWheel(
        path=path,
        digest=hashlib.sha256(content).hexdigest(),
        requires=tuple(_plain(need) for need in needs if _wanted(need)),
    )


def _wanted(need: Requirement) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": EXTRA})


def _plain(need: Requirement) -> str:
    need.marker = None
    return str(need)
