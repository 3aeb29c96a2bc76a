"""A layer is sent while the rest of its image is put together, and nothing is packed twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import attrs
import pytest
from modelyard.api import Artifact, Descriptor, ImageUnbuildable, Unavailable
from modelyard.images import Addition, FolderMemo, Image, Part, Repository, assemble, list_tree
from modelyard.images.packing import send_layer
from modelyard.testing import InMemoryRegistry

from engine.tests.images.making import BASES, CONFIG_TYPE, GZIP_TYPE, made_base

TARGET = "images/services/digits"
KEY = "c" * 64


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/score.py").write_text("def run(data): return data\n")
    (tmp_path / "work").mkdir()
    return tmp_path


def code_of(project: Path) -> Addition:
    return Addition(Part.CODE, list_tree(project / "code", "opt/code"), KEY)


@attrs.define
class Gated(InMemoryRegistry):
    """Takes no layer before it is let; `heard` has what came, in order."""

    opened: asyncio.Event = attrs.field(factory=asyncio.Event)
    configured: asyncio.Event = attrs.field(factory=asyncio.Event)
    heard: list[str] = attrs.field(factory=list)
    refuses: bool = False

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
        if isinstance(source, Path):
            await self.opened.wait()
            if self.refuses:
                raise Unavailable("the registry is full", place=repository, remedy="free space")
        self.heard.append(media_type)
        if media_type == CONFIG_TYPE:
            self.configured.set()
        return await super().push_blob(repository, source, media_type)

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        self.heard.append(f"manifest {tag}")
        return await super().push(repository, artifact, tag=tag)


async def upon_code(registry: Gated, project: Path) -> Descriptor:
    """Assemble an image whose code is sent meanwhile; the registry takes it once everything else is there."""
    base = await made_base(registry)
    registry.heard.clear()
    registry.configured.clear()
    target = Repository(registry, TARGET)
    code = code_of(project)
    under_way = await send_layer(code, target, project / "work", FolderMemo(project / "memo"))
    assembling = asyncio.create_task(
        assemble(
            Image(base, [code], "digits"),
            source=Repository(registry, BASES),
            target=target,
            tag="1",
            folder=project / "work",
            memo=FolderMemo(project / "memo"),
            under_way=under_way,
        )
    )
    await registry.configured.wait()  # the configuration does not wait for the code
    registry.opened.set()
    try:
        return await assembling
    finally:
        await asyncio.gather(under_way.sent, return_exceptions=True)


def test_a_layer_under_way_holds_up_the_manifest_alone(project: Path):
    async def case() -> None:
        registry = Gated()
        made = await upon_code(registry, project)
        assert registry.heard == [CONFIG_TYPE, GZIP_TYPE, "manifest 1"]
        again = Gated()
        again.opened.set()
        assert (
            await assemble(
                Image(await made_base(again), [code_of(project)], "digits"),
                source=Repository(again, BASES),
                target=Repository(again, TARGET),
                tag="1",
                folder=project / "work",
            )
            == made
        )

    asyncio.run(case())
    assert list((project / "work").iterdir()) == []


def test_a_layer_that_cannot_be_sent_leaves_no_manifest(project: Path):
    async def case() -> None:
        registry = Gated(refuses=True)
        with pytest.raises(Unavailable, match="full"):
            await upon_code(registry, project)
        assert registry.heard == [CONFIG_TYPE]

    asyncio.run(case())
    assert FolderMemo(project / "memo").load(KEY) is None


def test_what_cannot_be_packed_is_told_before_anything_is_sent(project: Path):
    async def case() -> None:
        registry = Gated()
        code = code_of(project)
        (project / "code/score.py").unlink()
        with pytest.raises(ImageUnbuildable, match="cannot be read"):
            await send_layer(
                code, Repository(registry, TARGET), project / "work", FolderMemo(project / "memo")
            )
        assert registry.heard == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(case())


def test_a_layer_that_was_stored_before_is_not_packed_again(project: Path):
    async def case() -> None:
        registry, memo = Gated(), FolderMemo(project / "memo")
        registry.opened.set()
        code, target = code_of(project), Repository(registry, TARGET)
        first = await send_layer(code, target, project / "work", memo)
        await first.sent
        (project / "code/score.py").unlink()
        again = await send_layer(code, target, project / "work", memo)
        await again.sent
        assert again.layer == first.layer

    asyncio.run(case())
