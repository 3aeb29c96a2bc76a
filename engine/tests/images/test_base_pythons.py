"""The Pythons of a base image are read off its layers, once for each digest, and nothing is unpacked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from modelyard.api import BasePython, ImageUnbuildable, Platform, Registry
from modelyard.images import BaseFacts, Repository, facts_of, find_base, scanning
from modelyard.images.layers import GZIP_TYPE, TAR_TYPE, ZSTD_TYPE
from modelyard.images.pythons import choose_python
from modelyard.testing import InMemoryRegistry

from engine.tests.images.layering import Link, layer, put_image, to
from engine.tests.images.making import AMD64, BASES, Watched

Members = Mapping[str, bytes | Link | None]
GLIBC = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n\0"
PROGRAM = b"\x7fELF" + b"pymalloc\x003.11.2\0sys"
LIBRARY = b"\x7fELF" + b"/built/in/Python-3.11.7\0"
LIBC: Members = {"lib/x86_64-linux-gnu/libc.so.6": GLIBC}
DEBIAN: Members = {
    "usr/bin/python3": to("python3.11"),
    "usr/bin/python3.11": PROGRAM,
    "bin": to("usr/bin"),
    "lib": to("usr/lib"),
    "usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC,
}
BUILT: Members = {
    **LIBC,
    "usr/local/bin/python3.11": b"\x7fELF",
    "usr/local/bin/python3": to("python3.11"),
    "usr/local/lib/libpython3.11.so.1.0": LIBRARY,
}


def find(
    tmp_path: Path,
    *layers: Members,
    path: str = "",
    platform: Platform = AMD64,
    media_type: str = TAR_TYPE,
    registry: Registry | None = None,
) -> tuple[BasePython, ...]:
    return look(
        tmp_path, *layers, path=path, platform=platform, media_type=media_type, registry=registry
    ).pythons


def look(
    tmp_path: Path,
    *layers: Members,
    path: str = "",
    platform: Platform = AMD64,
    media_type: str = TAR_TYPE,
    registry: Registry | None = None,
) -> BaseFacts:
    registry = registry or InMemoryRegistry()
    variables = [f"PATH={path}"] if path else []

    async def case() -> BaseFacts:
        await put_image(registry, [layer(one) for one in layers], media_type=media_type, variables=variables)
        source = Repository(registry, BASES)
        return await facts_of(await find_base(source, "3", platform), source, platform, tmp_path / "bases")

    return asyncio.run(case())


def shown(found: Sequence[BasePython]) -> list[tuple[str, str]]:
    return [(str(one.path), one.version) for one in found]


def test_a_distributions_python_is_found_through_its_links(tmp_path: Path):
    (python,) = find(tmp_path, DEBIAN)
    assert python == BasePython(
        path=python.path,
        version="3.11.2",
        abi="cp311",
        libc="glibc-2.36",
        machine="x86_64",
        shared_libpython=False,
    )
    assert str(python.path) == "/usr/bin/python3.11"


def test_a_python_that_was_built_is_read_off_its_library(tmp_path: Path):
    (python,) = find(tmp_path, BUILT)
    assert shown([python]) == [("/usr/local/bin/python3.11", "3.11.7")]
    assert python.shared_libpython


@pytest.mark.parametrize("media_type", [TAR_TYPE, GZIP_TYPE, ZSTD_TYPE])
def test_layers_are_read_however_they_are_squeezed(media_type: str, tmp_path: Path):
    assert len(find(tmp_path, DEBIAN, media_type=media_type)) == 1


def test_the_header_is_believed_before_any_program(tmp_path: Path):
    header: Members = {"usr/local/include/python3.11/patchlevel.h": b'#define PY_VERSION "3.11.9"\n'}
    assert shown(find(tmp_path, BUILT, header)) == [("/usr/local/bin/python3.11", "3.11.9")]


def test_the_python_that_python3_means_comes_first(tmp_path: Path):
    conda: Members = {
        "opt/conda/bin/python3.10": b"\x003.10.4\0",
        "opt/conda/bin/python": to("python3.10"),
        "opt/conda/lib/libpython3.10.so.1.0": b"x/3.10.4\0",
    }
    found = find(tmp_path, BUILT, conda, path="/opt/conda/bin:/usr/local/bin")
    assert shown(found) == [
        ("/usr/local/bin/python3.11", "3.11.7"),
        ("/opt/conda/bin/python3.10", "3.10.4"),
    ]


def test_a_python_off_the_path_is_none(tmp_path: Path):
    assert find(tmp_path, BUILT, path="/usr/bin") == ()


def test_a_python_that_a_higher_layer_removed_is_none(tmp_path: Path):
    assert find(tmp_path, DEBIAN, {"usr/bin/.wh.python3.11": b""}) == ()
    assert find(tmp_path / "again", DEBIAN, {"usr/.wh..wh..opq": b""}) == ()


def test_a_python_that_a_higher_layer_replaced_is_the_new_one(tmp_path: Path):
    newer = {"usr/bin/python3.11": b"\x003.11.14\0"}
    assert shown(find(tmp_path, DEBIAN, newer)) == [("/usr/bin/python3.11", "3.11.14")]


def test_one_whose_release_cannot_be_told_is_left_out(tmp_path: Path):
    unsure: Members = {**LIBC, "usr/bin/python3.11": b"\x003.11.2\0\x003.11.4\0"}
    assert find(tmp_path, unsure) == ()


def test_a_release_across_two_pieces_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scanning, "_CHUNK_BYTES", 24)
    assert shown(find(tmp_path, DEBIAN)) == [("/usr/bin/python3.11", "3.11.2")]


def test_an_image_without_glibc_says_so(tmp_path: Path):
    alpine: Members = {"usr/bin/python3.11": PROGRAM, "lib/ld-musl-x86_64.so.1": b"musl"}
    (python,) = find(tmp_path, alpine)
    assert python.libc == ""


def test_an_image_without_a_python_has_its_glibc_all_the_same(tmp_path: Path):
    assert look(tmp_path, LIBC) == BaseFacts("x86_64", "glibc-2.36", ())


def test_an_image_for_another_processor_has_that_ones_python(tmp_path: Path):
    (python,) = find(tmp_path, BUILT, platform=AMD64)
    assert python.machine == "x86_64"


def test_hard_links_are_other_names(tmp_path: Path):
    linked: Members = {
        **LIBC,
        "usr/bin/python3.11": PROGRAM,
        "usr/bin/python3": ("hardlink", "usr/bin/python3.11"),
    }
    assert shown(find(tmp_path, linked))[0][1] == "3.11.2"


def test_a_damaged_layer_is_told_with_its_digest(tmp_path: Path):
    registry = InMemoryRegistry()

    async def case() -> None:
        await put_image(registry, [b"x" * 900 + layer(DEBIAN)])
        source = Repository(registry, BASES)
        base = await find_base(source, "3", AMD64)
        with pytest.raises(ImageUnbuildable, match="damaged") as raised:
            await facts_of(base, source, AMD64, tmp_path)
        assert base.layers[0].digest in raised.value.place

    asyncio.run(case())


def test_a_layer_that_grows_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scanning, "_LARGEST_LAYER", 1000)
    with pytest.raises(ImageUnbuildable, match="more than 1000 bytes"):
        find(tmp_path, {"a": bytes(2000)})


def test_a_base_is_looked_through_once(tmp_path: Path):
    registry = Watched(InMemoryRegistry())
    first = find(tmp_path, DEBIAN, registry=registry)
    registry.calls.clear()
    assert find(tmp_path, DEBIAN, registry=registry) == first
    layers = [what for method, what in registry.calls if method == "read_blob"]
    assert len(layers) == 1  # the configuration


def test_what_was_remembered_and_is_damaged_is_looked_for_again(tmp_path: Path):
    first = find(tmp_path, DEBIAN)
    (file,) = (tmp_path / "bases").glob("sha256-*.json")
    file.write_text("{")
    assert find(tmp_path, DEBIAN) == first


def test_nothing_of_a_layer_stays_on_disk(tmp_path: Path):
    find(tmp_path, DEBIAN)
    assert [one.suffix for one in (tmp_path / "bases").iterdir()] == [".json"]


def python(version: str, *, shared: bool = True, path: str = "/usr/bin/python") -> BasePython:
    from pathlib import PurePosixPath

    return BasePython(PurePosixPath(path), version, "cp311", "glibc-2.36", "x86_64", shared)


def test_without_a_wish_the_first_python_is_taken():
    found = [python("3.11.2"), python("3.12.1")]
    assert choose_python(found, None, serving=True, base="b").version == "3.11.2"


@pytest.mark.parametrize(("wanted", "got"), [("3.12", "3.12.1"), ("3.1", "3.1.0"), ("3.11.2", "3.11.2")])
def test_versions_are_compared_by_whole_parts(wanted: str, got: str):
    found = [python("3.11.2"), python("3.12.1"), python("3.1.0")]
    assert choose_python(found, wanted, serving=False, base="b").version == got


def test_for_the_server_a_python_with_a_shared_library_comes_first():
    found = [python("3.11.2", shared=False), python("3.11.7", path="/usr/local/bin/python3.11")]
    assert choose_python(found, "3.11", serving=True, base="b").version == "3.11.7"
    assert choose_python(found, "3.11", serving=False, base="b").version == "3.11.2"


def test_a_base_without_the_python_wanted_says_what_it_has():
    with pytest.raises(ImageUnbuildable, match=r"no Python 3\.9 .* 3\.11\.2") as raised:
        choose_python([python("3.11.2")], "3.9", serving=True, base="debian:12")
    assert raised.value.place == "debian:12"
    with pytest.raises(ImageUnbuildable, match="no Python at all"):
        choose_python([], None, serving=True, base="debian:12")
