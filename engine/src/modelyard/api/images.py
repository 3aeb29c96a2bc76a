"""Images: where one is, what is to be built, and who builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import attrs

from modelyard.api.platforms import Platform
from modelyard.api.plugins import Maturity
from modelyard.api.refusals import Refusal
from modelyard.api.registries import Descriptor, Registry
from modelyard.api.settings import Compression

OnLine = Callable[[str], None]
"""Told each line of progress; may be called from the event loop only."""


@attrs.frozen
class ImageRef:
    """An image for one platform: the record that has it, the repository there, the digest of its manifest."""

    registry: str
    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}@{self.digest}"


@attrs.frozen
class BasePython:
    """The CPython of a base image: `/usr/local/bin/python3.11`, `3.11.9`, `cp311`, `glibc-2.36`, `x86_64`."""

    path: PurePosixPath
    version: str
    abi: str
    libc: str
    machine: str
    shared_libpython: bool
    system: str = "linux"

    @property
    def minor(self) -> str:
        """`3.11` of `3.11.9`."""
        return self.version.rpartition(".")[0]

    @property
    def shown(self) -> str:
        """What messages call it."""
        return f"Python {self.version} on {self.system} {self.machine} with {self.libc or 'no glibc'}"


@attrs.frozen
class PipLayer:
    """Python packages at `prefix`, run by `python`; `lock` has one hashed pin a package."""

    prefix: PurePosixPath
    python: BasePython
    lock: str
    serving: bool
    """Whether the server runs in it: its Python must then have a shared libpython."""
    system_packages: bool = False
    """Whether what `python` itself has installed is seen too, as a conda environment's packages are."""


@attrs.frozen
class CondaLayer:
    """Conda packages at `prefix`; `lock` is the canonical text of what was solved.

    `file` is the conda file as it was written, with its channels' credentials: shown to the channels alone.
    """

    prefix: PurePosixPath
    lock: str
    file: Mapping[str, object] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class BuildOrder:
    """An image to build: a base, what is done to it, and where the result is to lie.

    The engine orders docker steps and packages one after the other, never in one order: which packages fit
    depends on what the steps made of the base.
    """

    platform: Platform
    base: ImageRef
    repository: str
    """Where the image goes in the workspace's registry."""
    tag: str
    """Its key; moved last, so that nobody ever finds half an image."""
    docker_steps: tuple[str, ...] = ()
    """Lines of a Dockerfile below its FROM."""
    dockerfile: str = ""
    """A whole Dockerfile in place of base and steps."""
    context: Path | None = None
    """The folder that steps may COPY from; None = an empty one."""
    conda: CondaLayer | None = None
    pips: tuple[PipLayer, ...] = ()
    title: str = ""
    labels: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class BuildSite:
    """Where a builder works: the registry that has the base, the one that gets the image, an empty folder."""

    base: Registry
    workspace: Registry
    folder: Path
    on_line: OnLine
    compression: Compression = "gzip"
    """How layers are to be compressed, by whoever has the choice."""


@runtime_checkable
class ImageBuilder(Protocol):
    """Builds images. One that is killed or cancelled leaves nothing that a tag names, and may be called again."""

    @property
    def name(self) -> str:
        """The record's name, unique among builders; `images.builder` of the settings may pick it."""
        ...

    @property
    def maturity(self) -> Maturity:
        """How far this builder may be relied on."""
        ...

    def can_build(self, order: BuildOrder) -> Refusal | None:
        """Say what keeps it from building this; None = it can. Quick, and asks nobody."""
        ...

    async def build(self, order: BuildOrder, site: BuildSite) -> Descriptor:
        """Build, push to the workspace's registry and return the manifest.

        Raises `UserError` for what the specification's owner can mend, with the step that failed and the last
        lines it said.
        """
        ...
