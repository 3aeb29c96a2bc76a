"""What is in an environment: its lock's packages, with what the installed ones say of themselves."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from modelyard.api import BasePython
from modelyard.environments import Package, Pin, list_packages, read_pins

HASH = f"sha256:{'a' * 64}"
PYTHON = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.9", "cp311", "glibc-2.36", "x86_64", True)


def locked(*pins: str) -> str:
    return "".join(f"{pin} \\\n    --hash={HASH}\n" for pin in pins)


def say(site: Path, name: str, *lines: str) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    text = "\n".join([f"Name: {name}", "Version: 1.0", *lines, "", "A description: of it", ""])
    (info / "METADATA").write_text(text)


def described(site: Path, *lines: str) -> Package:
    say(site, "alpha", *lines)
    (found,) = list_packages(locked("alpha==1.0"), PYTHON, site)
    return found


def test_pins_are_read_by_name_with_version_hashes_and_marker():
    lock = locked('zeta==2.0 ; sys_platform == "linux"', "alpha==1.0+cpu")
    assert read_pins(lock) == (
        Pin("alpha", "1.0+cpu", (HASH,)),
        Pin("zeta", "2.0", (HASH,), 'sys_platform == "linux"'),
    )


@pytest.mark.parametrize(
    ("address", "version"),
    [
        ("https://files.example/x/alpha-1.5-py3-none-any.whl", "1.5"),
        ("https://somebody:secret@files.example/alpha-1.5%2Bcpu-py3-none-any.whl?sig=1", "1.5+cpu"),
        ("https://files.example/alpha-1.5.tar.gz", "1.5"),
        ("https://files.example/archive/main", ""),
        ("file:///wheels/alpha.whl", ""),
    ],
)
def test_the_version_behind_an_address_is_its_files(address: str, version: str):
    assert read_pins(locked(f"alpha @ {address}")) == (Pin("alpha", version, (HASH,)),)


def test_a_package_for_another_system_or_python_is_not_listed():
    lock = locked(
        'here==1 ; sys_platform == "linux" and platform_machine == "x86_64"',
        'there==1 ; sys_platform == "win32"',
        'older==1 ; python_full_version < "3.9"',
        'unread==1 ; what == "ever"',
    )
    assert [one.name for one in list_packages(lock, PYTHON)] == ["here", "unread"]


def test_without_its_folder_a_package_has_what_the_lock_says(tmp_path: Path):
    assert list_packages(locked("alpha==1.0"), PYTHON) == (Package("alpha", "1.0", (HASH,)),)
    assert list_packages(locked("alpha==1.0"), PYTHON, tmp_path) == (Package("alpha", "1.0", (HASH,)),)


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: other"], "MIT OR Apache-2.0"),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: MIT License"], "BSD-3-Clause"),
        (
            ["License: A whole\n  text of\n  many lines", "Classifier: License :: X :: MIT License"],
            "MIT License",
        ),
        (["License: UNKNOWN"], ""),
        ([], ""),
    ],
)
def test_the_licence_is_what_the_package_says(tmp_path: Path, lines: list[str], licence: str):
    assert described(tmp_path, *lines).licence == licence


@pytest.mark.parametrize(
    ("lines", "supplier"),
    [
        (["Author: Ada", "Author-email: Bob <bob@host.example>"], "Ada"),
        (["Author-email: Ada L <ada@host.example>, Bob <bob@host.example>"], "Ada L, Bob"),
        (["Maintainer: The Team"], "The Team"),
        (["Author-email: ada@host.example"], ""),
        (["Author: \x1b[31mred"], "[31mred"),
        (["Author: " + "x" * 5000], "x" * 200),
    ],
)
def test_the_supplier_is_a_name_without_address(tmp_path: Path, lines: list[str], supplier: str):
    assert described(tmp_path, *lines).supplier == supplier


def test_requirements_are_those_that_hold_here_and_are_in_the_lock(tmp_path: Path):
    say(
        tmp_path,
        "alpha",
        "Requires-Dist: Beta_Two>=1",
        'Requires-Dist: gamma; extra == "more"',
        'Requires-Dist: delta; python_version < "3.9"',
        'Requires-Dist: epsilon; sys_platform == "linux"',
        "Requires-Dist: not-in-the-lock",
        "Requires-Dist: alpha",
        "Requires-Dist: !!!",
    )
    lock = locked(*(f"{name}==1.0" for name in ("alpha", "beta-two", "gamma", "delta", "epsilon")))
    assert list_packages(lock, PYTHON, tmp_path)[0].requires == ("beta-two", "epsilon")


def test_a_folder_that_is_damaged_says_nothing(tmp_path: Path):
    (tmp_path / "alpha-1.0.dist-info").mkdir()
    say(tmp_path, "beta", "License: MIT")
    found = list_packages(locked("alpha==1.0", "beta==1.0"), PYTHON, tmp_path)
    assert [one.licence for one in found] == ["", "MIT"]
