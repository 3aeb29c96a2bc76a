"""Images of services for tests: the machine's base, the real runtime at its prefix, and a script."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import attrs
from modelyard.api import EnvironmentSpec, ImageRef
from modelyard.environments import RegistryLockRecords, bundled_runtime, find_interpreter, lay_out, solve
from modelyard.images import (
    Addition,
    Image,
    Part,
    Repository,
    Start,
    assemble,
    find_base,
    list_tree,
    platform_of,
)
from modelyard.processes import find_home
from modelyard_registry.layout import OciLayoutRegistry

from tests.testbed.machine_base import PYTHON, REPOSITORY, TAG, MachineBase, machine_python

ENVIRONMENT = "/opt/modelyard/env"
CODE = "/opt/modelyard/code"
ECHO = "def init():\n    pass\n\ndef run(data):\n    return data\n"


@attrs.frozen
class ServiceImages:
    """Makes images into one layout folder; what they share is written once."""

    folder: Path
    base: MachineBase

    @property
    def registry(self) -> OciLayoutRegistry:
        return OciLayoutRegistry(self.folder / "registry")

    async def make(self, files: Mapping[str, str], *, name: str = "digits") -> ImageRef:
        """Assemble an image whose code folder holds these files."""
        origin = Repository(self.registry, REPOSITORY)
        await self.base.push(self.registry)
        base = await find_base(origin, TAG, platform_of(platform.machine()))
        target = Repository(self.registry, f"services/{name}")
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            code = Path(work) / "code"
            code.mkdir()
            for file, text in files.items():
                (code / file).write_text(text)
            additions = [
                Addition(
                    Part.ENVIRONMENT, list_tree(await self._environment(), ENVIRONMENT[1:], of_base=_OF_BASE)
                ),
                Addition(Part.CODE, list_tree(code, CODE[1:])),
            ]
            image = Image(base, additions, name, start=Start(entrypoint=(f"{ENVIRONMENT}/bin/python",)))
            manifest = await assemble(image, source=origin, target=target, tag=name, folder=Path(work))
        return ImageRef(self.registry.name, target.name, manifest.digest)

    async def _environment(self) -> Path:
        tree = self.folder / "environment"
        if not tree.exists():
            home = find_home({"MODELYARD_HOME": str(self.folder / "home")})
            home.create()
            interpreter, runtime = find_interpreter(None), bundled_runtime()
            records = RegistryLockRecords(self.registry)
            lock = await solve(
                EnvironmentSpec(), interpreter=interpreter, runtime=runtime, home=home, records=records
            )
            await lay_out(
                lock, tree, prefix=PurePosixPath(ENVIRONMENT), python=machine_python(), runtime=runtime
            )
        return tree


_OF_BASE = frozenset((str(PYTHON),))
