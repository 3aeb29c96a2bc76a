"""Which wheels an image of the engine is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard.api import UserError
from modelyard.environments import gather_folder, gather_installed
from modelyard.environments.distributions.gathering import RELEASE

from engine.tests.environments.conftest import write_wheel
from engine.tests.environments.distributions.conftest import Install

PLUGIN = {"INFO.dist-info/entry_points.txt": "[modelyard]\nx = x.plugin\n"}


def release(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [write_wheel(folder, one, "0.1.0") for one in names or RELEASE]


def test_every_wheel_of_a_folder_is_taken_by_name(tmp_path: Path):
    release(tmp_path / "dist")
    write_wheel(tmp_path / "dist", "acme-plugin", "3.0", more=PLUGIN)
    (tmp_path / "dist" / "notes.txt").write_text("not a wheel")
    found = gather_folder(tmp_path / "dist")
    assert [one.name for one in found.wheels] == sorted([*RELEASE, "acme-plugin"])
    assert (found.version, found.left_out, found.revision) == ("0.1.0", (), "")


def test_a_release_that_is_not_whole_is_refused(tmp_path: Path):
    release(tmp_path / "dist", *RELEASE[:-1])
    with pytest.raises(UserError, match="no wheel of modelyard-registry") as caught:
        gather_folder(tmp_path / "dist")
    assert "make packaging" in caught.value.remedy


def test_a_wheel_of_an_earlier_build_beside_the_new_one_is_refused(tmp_path: Path):
    release(tmp_path / "dist")
    write_wheel(tmp_path / "dist", "modelyard", "0.0.9")
    with pytest.raises(UserError, match=r"modelyard-0\.0\.9-py3-none-any\.whl, modelyard-0\.1\.0"):
        gather_folder(tmp_path / "dist")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="no such folder"):
        gather_folder(tmp_path / "dist")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"x" * 100])
def test_a_damaged_wheel_is_named(tmp_path: Path, content: bytes):
    release(tmp_path / "dist")
    (tmp_path / "dist" / "modelyard_cpu-0.1.0-py3-none-any.whl").write_bytes(content)
    with pytest.raises(UserError, match="no wheel that can be used") as caught:
        gather_folder(tmp_path / "dist")
    assert caught.value.place.endswith("modelyard_cpu-0.1.0-py3-none-any.whl")


def test_a_wheel_under_anothers_name_is_refused(tmp_path: Path):
    (wheel, *_) = release(tmp_path / "dist")
    wheel.rename(wheel.with_name("modelyard-0.2.0-py3-none-any.whl"))
    with pytest.raises(UserError, match=r"it holds modelyard 0\.1\.0"):
        gather_folder(tmp_path / "dist")


def test_of_what_is_installed_the_engine_and_its_plugins_are_taken(tmp_path: Path, install: Install):
    wheels = release(tmp_path / "dist", "modelyard", "modelyard-runtime")
    wheels.append(write_wheel(tmp_path / "dist", "acme-plugin", "3.0", more=PLUGIN))
    wheels.append(write_wheel(tmp_path / "dist", "numpy", "2.0"))
    (tmp_path / "repacked").mkdir()
    found = gather_installed(tmp_path / "repacked", install(*wheels).values())
    assert [one.name for one in found.wheels] == ["acme-plugin", "modelyard", "modelyard-runtime"]
    assert found.left_out == ()


def test_a_plugin_that_cannot_be_packed_is_left_out_and_named(tmp_path: Path, install: Install):
    wheels = release(tmp_path / "dist", "modelyard", "modelyard-runtime")
    more = {**PLUGIN, "INFO.data/data/etc/acme.conf": "x\n"}
    wheels.append(write_wheel(tmp_path / "dist", "acme-plugin", "3.0", more=more))
    (tmp_path / "repacked").mkdir()
    found = gather_installed(tmp_path / "repacked", install(*wheels).values())
    assert [one.name for one in found.wheels] == ["modelyard", "modelyard-runtime"]
    (left,) = found.left_out
    assert left.startswith("acme-plugin: it has a file beside the packages")


def test_a_checkout_is_told_to_make_wheels(tmp_path: Path):
    with pytest.raises(UserError, match="a link to its sources") as caught:
        gather_installed(tmp_path)
    assert "make packaging" in caught.value.remedy
    assert "--wheels dist" in caught.value.remedy


def test_an_environment_without_an_engine_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no wheel of modelyard, modelyard-runtime"):
        gather_installed(tmp_path, iter(()))
