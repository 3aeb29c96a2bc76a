"""Keys of images: equal for what is equal, different for what is not; and what made a miss."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import BasePython, EnvironmentSpec, LockedPackage, LockFile, PipLayer, Platform
from modelyard.environments.locks import LockDamaged
from modelyard.images import (
    Inputs,
    conda_key,
    copies_files,
    dockerfile_key,
    image_lock_key,
    image_spec_key,
    steps_key,
    why,
)

BASE = "sha256:" + "a" * 64
SPEC = EnvironmentSpec(
    base="python:3.11", requirements=("numpy==2.0", "scipy"), docker_steps=("RUN a", "RUN b")
)
INPUTS = Inputs(Platform("linux", "amd64"), BASE, SPEC)
PYTHON = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)
LOCK_FILE = LockFile((LockedPackage("six", "1.17.0", ("sha256:" + "d" * 64,)),))
HASH = "--hash=sha256:" + "b" * 64
LOCK = f"numpy==2.0 {HASH}\nscipy==1.1 {HASH}\n"


def with_spec(**changed: object) -> Inputs:
    return attrs.evolve(INPUTS, spec=attrs.evolve(SPEC, **changed))


DIFFERENT = [
    attrs.evolve(INPUTS, platform=Platform("linux", "arm64")),
    attrs.evolve(INPUTS, base="sha256:" + "c" * 64),
    with_spec(requirements=("numpy==2.1", "scipy")),
    with_spec(conda={"dependencies": ["numpy"]}),
    with_spec(docker_steps=("RUN b", "RUN a")),
    with_spec(python="3.12"),
    with_spec(lock_file=LOCK_FILE),
    with_spec(lock_file=attrs.evolve(LOCK_FILE, requires_python=">=3.11")),
]
SAYS = [
    "platform: linux/amd64 -> linux/arm64",
    f"base: {BASE} -> sha256:{'c' * 64}",
    "requirements: +numpy==2.1 -numpy==2.0",
    "conda: default -> changed",
    "docker_steps: changed -> changed",
    "python: default -> 3.12",
    "lock_file: changed; requirements: +six==1.17.0",
    "lock_file: changed; requirements: +six==1.17.0",
]


@pytest.mark.parametrize("other", DIFFERENT)
def test_every_input_counts(other: Inputs):
    assert image_spec_key(other) != image_spec_key(INPUTS)


@pytest.mark.parametrize(
    "same",
    [
        with_spec(requirements=("SciPy", "numpy == 2.0", "# a comment")),
        with_spec(base="python:latest"),
        with_spec(variables={"A": "1"}),
    ],
)
def test_spelling_the_bases_name_and_variables_do_not_count(same: Inputs):
    assert image_spec_key(same) == image_spec_key(INPUTS)


def test_a_variant_that_is_meant_anyway_does_not_count():
    short, long = (Inputs(Platform.parse(text), BASE, SPEC) for text in ("linux/arm64", "linux/arm64/v8"))
    assert image_spec_key(short) == image_spec_key(long)


@given(st.permutations(["a", "b", "c"]))
def test_the_order_in_a_conda_files_mapping_does_not_count(names: list[str]):
    conda = {name: name.upper() for name in names}
    assert image_spec_key(with_spec(conda=conda)) == image_spec_key(
        with_spec(conda=dict(sorted(conda.items())))
    )


def pip(lock: str = LOCK, **changed: Any) -> PipLayer:
    return PipLayer(
        **{"prefix": PurePosixPath("/opt/env"), "python": PYTHON, "serving": True, **changed}, lock=lock
    )


def key(*pips: PipLayer, foundation: str = BASE) -> str:
    return image_lock_key(foundation, pips or (pip(),))


CONDA = {"channels": ["https://h.invalid/c", "d"], "dependencies": ["a", "b", {"pip": ["c", "d"]}]}
SAME_CONDA = {
    "name": "of-somebody",
    "channels": ["https://me:s3cret@h.invalid/t/tk-1/c", "d"],
    "dependencies": [{"pip": ["d", "c"]}, "b", "a"],
}


def test_credentials_and_the_order_of_conda_dependencies_do_not_count():
    one, other = with_spec(conda=CONDA), with_spec(conda=SAME_CONDA)
    assert image_spec_key(one) == image_spec_key(other)
    assert why(one, [other]).startswith("same inputs")


def test_the_order_of_conda_channels_counts():
    other = with_spec(conda=CONDA | {"channels": CONDA["channels"][::-1]})
    assert image_spec_key(other) != image_spec_key(with_spec(conda=CONDA))


def test_a_lock_is_hashed_parsed():
    spelt = f"# written by a tool\nscipy==1.1 \\\n    {HASH}\nnumpy==2.0 {HASH}  # via scipy\n"
    assert key(pip(spelt)) == key()


@pytest.mark.parametrize(
    "other",
    [
        key(foundation="sha256:" + "c" * 64),
        key(foundation=steps_key(BASE, ("RUN b",))),
        key(foundation=conda_key(BASE, "python 3.11")),
        key(pip(LOCK.replace("1.1", "1.2"))),
        key(pip(LOCK.replace("b" * 64, "d" * 64))),
        key(pip(prefix=PurePosixPath("/opt/script"))),
        key(pip(python=attrs.evolve(PYTHON, version="3.11.8"))),
        key(pip(system_packages=True)),
        key(pip(), pip(prefix=PurePosixPath("/opt/script"))),
    ],
)
def test_base_steps_places_versions_and_hashes_count(other: str):
    assert other != key()


def test_the_order_of_docker_steps_counts():
    assert steps_key(BASE, ("a", "b")) != steps_key(BASE, ("b", "a"))


def test_what_the_steps_copy_counts():
    one, other = (dockerfile_key(INPUTS.platform, "FROM a\nCOPY . .", context=what) for what in ("x", "y"))
    assert one != other
    assert steps_key(BASE, ("COPY . .",), context="x") != steps_key(BASE, ("COPY . .",), context="y")


@pytest.mark.parametrize(
    "line", ["COPY a b", "  add x y", "FROM a\nCOPY --from=b x y", "RUN --mount=type=bind,target=/x ls"]
)
def test_lines_that_read_the_context_are_told(line: str):
    assert copies_files(["RUN true", line])


@pytest.mark.parametrize("line", ["RUN cp a b", "ENV COPY=1", "# COPY a b", "RUN echo ADD"])
def test_lines_that_read_nothing_are_none(line: str):
    assert not copies_files([line])


def test_a_lock_without_hashes_has_no_key():
    with pytest.raises(LockDamaged):
        key(pip("numpy==2.0"))


def test_what_the_server_requires_is_part_of_what_is_solved_together_with_it():
    alone = image_spec_key(INPUTS)
    together = image_spec_key(INPUTS, runtime=("pyvoy>=1", "numpy"))
    assert alone != together
    assert together == image_spec_key(INPUTS, runtime=("numpy", "pyvoy>=1"))


@pytest.mark.parametrize(("wanted", "says"), list(zip(DIFFERENT, SAYS, strict=True)))
def test_a_miss_names_the_input_that_changed(wanted: Inputs, says: str):
    assert why(wanted, [INPUTS]) == says


def test_a_miss_is_told_against_the_nearest_that_is_known():
    far = Inputs(Platform("linux", "arm64"), "sha256:" + "c" * 64, EnvironmentSpec())
    wanted = with_spec(requirements=("numpy==2.0",))
    assert why(wanted, [far, INPUTS, far]) == "requirements: -scipy"


def test_several_changes_are_all_named():
    wanted = attrs.evolve(with_spec(python="3.12"), platform=Platform("linux", "arm64"))
    assert why(wanted, [INPUTS]) == "platform: linux/amd64 -> linux/arm64; python: default -> 3.12"


def test_another_name_of_the_same_base_is_no_change():
    assert why(with_spec(base="python:latest"), [INPUTS]).startswith("same inputs")


def test_a_first_image_says_so():
    assert why(INPUTS, []) == "no image was built before"


@given(st.permutations([*DIFFERENT]))
def test_the_order_in_which_images_are_known_does_not_matter(known: list[Inputs]):
    wanted = with_spec(requirements=("numpy==2.2",))
    assert why(wanted, known) == why(wanted, DIFFERENT)


def test_how_layers_are_compressed_makes_another_image_and_gzip_is_what_it_always_was():
    pip = PipLayer(PurePosixPath("/opt/env"), PYTHON, LOCK, serving=True)
    keys = [
        image_lock_key(BASE, [pip]),
        image_lock_key(BASE, [pip], compression="zstd"),
        conda_key(BASE, "lock"),
        conda_key(BASE, "lock", compression="zstd"),
    ]
    assert len(set(keys)) == 4
    assert image_lock_key(BASE, [pip], compression="gzip") == keys[0]
