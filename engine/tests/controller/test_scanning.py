"""What is known against an image's packages is told, and what nobody knows is never taken for good news."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
from modelyard.api import (
    ImageDetails,
    ImageEnvironment,
    ImageKind,
    ImagePackage,
    ImageSettings,
    ImageSummary,
)
from modelyard.controller.artifacts.scanning import with_vulnerabilities
from modelyard.processes import Home, find_home

PIN = f"numpy==1.0 \\\n    --hash=sha256:{'a' * 64}\n"
SUMMARY = ImageSummary(
    kind=ImageKind.ENVIRONMENT,
    registry="r",
    repository="images/environments",
    tag="k",
    digest="sha256:d",
    platform="linux/amd64",
    base="python:3",
    pythons=("3.11.9",),
    packages=1,
    size_bytes=1,
)
INSIDE = ImageEnvironment("/opt/env", "3.11.9", serving=True, packages=1, lock=PIN)
IMAGE = ImageDetails(SUMMARY, "", "k", None, (INSIDE,), ())
FLAW = {
    "id": "CVE-2026-1",
    "modified": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "summary": "it leaks",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "numpy"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return find_home({"MODELYARD_HOME": str(tmp_path / "home")})


def database(folder: Path) -> ImageSettings:
    (folder / "PyPI").mkdir(parents=True)
    with zipfile.ZipFile(folder / "PyPI" / "all.zip", "w") as archive:
        archive.writestr("CVE-2026-1.json", json.dumps(FLAW))
    return ImageSettings(osv_database=folder)


def test_a_known_flaw_is_told_with_the_release_that_mends_it(home: Home, tmp_path: Path):
    seen = with_vulnerabilities(IMAGE, home, database(tmp_path / "osv"))
    assert seen.vulnerabilities == ("numpy==1.0: CVE-2026-1: it leaks; 1.1 mends it",)
    assert seen.vulnerabilities_unknown == ""


def test_without_a_database_nothing_is_known(home: Home, tmp_path: Path):
    seen = with_vulnerabilities(IMAGE, home, ImageSettings(osv_database=tmp_path / "none"))
    assert seen.vulnerabilities == ()
    assert seen.vulnerabilities_unknown


def test_packages_that_nobody_kept_are_unknown(home: Home, tmp_path: Path):
    lost = attrs.evolve(IMAGE, environments=(attrs.evolve(INSIDE, lock=""),))
    seen = with_vulnerabilities(lost, home, database(tmp_path / "osv"))
    assert seen.vulnerabilities_unknown == "its locks are not kept"


def test_conda_packages_are_in_no_such_database(home: Home, tmp_path: Path):
    conda = ImageEnvironment("/opt/conda", "", serving=False, packages=3, lock="{}")
    both = attrs.evolve(IMAGE, environments=(conda, INSIDE))
    assert len(with_vulnerabilities(both, home, database(tmp_path / "osv")).vulnerabilities) == 1


BASE = (
    ImagePackage("deb", "libfoo", "1", "pkg:deb/debian/libfoo@1"),
    ImagePackage("pypi", "numpy", "0.9", "pkg:pypi/numpy@0.9"),
)


def test_python_packages_of_the_base_are_looked_up_as_well(home: Home, tmp_path: Path):
    seen = with_vulnerabilities(attrs.evolve(IMAGE, packages=BASE), home, database(tmp_path / "osv"))
    assert [one.partition(":")[0] for one in seen.vulnerabilities] == ["numpy==0.9", "numpy==1.0"]


def test_packages_of_the_system_are_said_to_be_looked_up_nowhere(home: Home, tmp_path: Path):
    seen = with_vulnerabilities(attrs.evolve(IMAGE, packages=BASE), home, database(tmp_path / "osv"))
    assert seen.vulnerabilities_unknown == "1 packages of the kind deb are in no database that is read"


def test_a_bill_tells_the_packages_whose_locks_nobody_kept(home: Home, tmp_path: Path):
    lost = attrs.evolve(IMAGE, environments=(attrs.evolve(INSIDE, lock=""),), packages=BASE[1:])
    seen = with_vulnerabilities(lost, home, database(tmp_path / "osv"))
    assert len(seen.vulnerabilities) == 1
    assert seen.vulnerabilities_unknown == ""


def test_of_a_base_without_python_packages_nothing_is_known(home: Home, tmp_path: Path):
    bare = attrs.evolve(IMAGE, environments=(), packages=BASE[:1])
    seen = with_vulnerabilities(bare, home, database(tmp_path / "osv"))
    assert "names no Python package" in seen.vulnerabilities_unknown
    assert "kind deb" in seen.vulnerabilities_unknown
