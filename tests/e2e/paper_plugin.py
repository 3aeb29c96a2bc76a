"""A plugin as a stranger would install it: a target that takes images and starts nothing, and a second registry."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from modelyard.api import ImageRef, OnLine, Registry, Target
from modelyard.hookspecs import hookimpl
from modelyard.testing import FakeTarget
from modelyard_registry.layout import OciLayoutRegistry

api_level = 1


@attrs.define
class PaperTarget(FakeTarget):
    """Its replicas are ready at once, on paper."""

    async def bring(self, image: ImageRef, registry: Registry, *, on_line: OnLine) -> None:
        """Make sure that the image is there, as a node would."""
        found = await registry.resolve(image.repository, image.digest)
        on_line(f"brought {found.digest}")


@attrs.frozen
class CompanyRegistry(OciLayoutRegistry):
    """Another folder than the engine's own."""

    name: str = attrs.field(default="company", init=False)


@hookimpl
def offer_targets() -> list[Target]:
    return [PaperTarget(name="paper", artifact="image")]


@hookimpl
def offer_registries() -> list[Registry]:
    return [CompanyRegistry(Path(os.environ["MODELYARD_HOME"]) / "company")]


def install(folder: Path) -> Path:
    """Install this very file as the distribution `paper`; gives what PYTHONPATH must name."""
    info = folder / "paper-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "paper_plugin.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paper\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modelyard]\npaper = paper_plugin\n")
    return folder
