"""The tar that `docker load` reads: whole, checked, and no larger in memory than a chunk."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import StoreDamaged
from modelyard.containers import Archive, Layer, open_archive, shared_layers


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer_of(content: bytes) -> Layer:
    return Layer(sha(content), len(content), sha(b"diff of " + content))


def reader(*contents: bytes):
    known = {sha(content): content for content in contents}

    async def read(digest: str) -> AsyncIterator[bytes]:
        content = known[digest]
        for start in range(0, len(content), 7):
            yield content[start : start + 7]

    return read


def written(archive: Archive, *contents: bytes, present: int = 0) -> dict[str, bytes]:
    async def collect() -> bytes:
        return b"".join([chunk async for chunk in open_archive(archive, reader(*contents), present=present)])

    with tarfile.open(fileobj=io.BytesIO(asyncio.run(collect()))) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]


@given(contents=st.lists(st.binary(max_size=600), max_size=4, unique=True), data=st.data())
def test_every_layer_that_is_not_there_is_in_it_and_all_are_named_in_order(
    contents: list[bytes], data: st.DataObject
):
    present = data.draw(st.integers(0, len(contents)))
    archive = Archive(b'{"a": 1}', tuple(map(layer_of, contents)), "modelyard/x:1")
    files = written(archive, *contents, present=present)
    (listed,) = json.loads(files.pop("manifest.json"))
    assert listed["RepoTags"] == ["modelyard/x:1"]
    assert files.pop(listed["Config"]) == archive.config
    assert listed["Config"] == sha(archive.config)[7:] + ".json"
    assert listed["Layers"] == [sha(content)[7:] + ".tar" for content in contents]
    assert files == {sha(content)[7:] + ".tar": content for content in contents[present:]}


def test_a_layer_that_lies_in_it_twice_is_sent_once():
    archive = Archive(b"{}", (layer_of(b"x"), layer_of(b"x")), "t:1")
    assert len([name for name in written(archive, b"x") if name.endswith(".tar")]) == 1


@pytest.mark.parametrize("claimed", [3, 5])
def test_a_layer_of_another_size_breaks_it_off(claimed: int):
    archive = Archive(b"{}", (Layer(sha(b"four"), claimed, "d"),), "t:1")
    with pytest.raises(StoreDamaged, match=f"has not the {claimed} bytes"):
        written(archive, b"four")


@given(
    chain=st.lists(st.sampled_from("abc"), max_size=5),
    known=st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=4),
)
def test_shared_layers_are_the_longest_common_beginning(chain: list[str], known: list[list[str]]):
    count = shared_layers(chain, known)
    assert count == 0 or any(one[:count] == chain[:count] for one in known)
    assert not any(
        len(one) > count and one[: count + 1] == chain[: count + 1] for one in known if len(chain) > count
    )
