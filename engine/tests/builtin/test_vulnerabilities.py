"""The check of known vulnerabilities: what is on this machine, against what is known."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from modelyard.api import Severity
from modelyard.builtin import vulnerabilities
from modelyard.processes import Home, find_home

from engine.tests.environments.advisories.making import ENTRIES, write_database

RECENT = datetime.fromtimestamp(time.time() - 3600, UTC).isoformat()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return find_home({"MODELYARD_HOME": str(tmp_path / "home")})


def install(home: Home, key: str, *packages: str) -> None:
    for package in packages:
        (home.environments / key / "lib/python3.11/site-packages" / f"{package}.dist-info").mkdir(
            parents=True
        )


def fresh(folder: Path) -> dict[str, str]:
    write_database(folder, [entry | {"modified": RECENT} for entry in ENTRIES])
    return {"OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY": str(folder)}


def test_a_flaw_names_the_package_its_environments_and_the_release_that_mends_it(home: Home, tmp_path: Path):
    install(home, "a" * 64, "Alpha-1.1", "quiet-1.0")
    install(home, "b" * 64, "alpha-1.1")
    install(home, ".building-c", "zeta-1.0")
    (finding,) = vulnerabilities.known(home, fresh(tmp_path))
    assert (finding.subject, finding.severity) == ("alpha==1.1", Severity.WARNING)
    assert finding.message == (
        "TEST-2026-01, TEST-2026-02, CVE-2026-0001: A ranged flaw of alpha"
        " (critical, CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H)"
    )
    assert finding.fix == f"ask for alpha>=1.4, then deploy the services of {'a' * 12}, {'b' * 12} again"


def test_packages_that_nothing_is_known_against_are_good_news(home: Home, tmp_path: Path):
    install(home, "a" * 64, "quiet-1.0", "alpha-1.4")
    (finding,) = vulnerabilities.known(home, fresh(tmp_path))
    assert finding.severity is Severity.OK
    assert "against the 2 packages of 1 environments" in finding.message


def test_without_a_database_the_answer_is_unknown_and_nobody_is_alarmed(home: Home, tmp_path: Path):
    install(home, "a" * 64, "quiet-1.0")
    (finding,) = vulnerabilities.known(home, {"HOME": str(tmp_path)})
    assert finding.severity is Severity.INFO
    assert finding.message.startswith("vulnerabilities are unknown: ")
    assert "images.osv_database" in finding.fix


def test_an_old_database_that_was_asked_for_is_a_warning(home: Home, tmp_path: Path):
    install(home, "a" * 64, "quiet-1.0")
    write_database(tmp_path, [ENTRIES[0] | {"modified": "2020-01-01T00:00:00Z"}])
    home.settings_file.write_text(f"images: {{osv_database: {tmp_path}}}\n")
    (finding,) = vulnerabilities.known(home, {})
    assert finding.severity is Severity.WARNING
    assert "days old" in finding.message
    home.settings_file.write_text(f"images: {{osv_database: {tmp_path}, osv_max_age_days: 3650}}\n")
    (finding,) = vulnerabilities.known(home, {})
    assert finding.severity is Severity.OK


def test_doubts_and_flaws_without_a_mend_say_so(home: Home, tmp_path: Path):
    install(home, "a" * 64, "delta-1.0", "zeta-1.0")
    found = {one.message: one.fix for one in vulnerabilities.known(home, fresh(tmp_path))}
    assert any(fix.startswith("no release mends it") for fix in found.values())
    assert any("delta 1.0: TEST-2026-06" in message for message in found)


def test_many_flaws_are_counted_after_the_first(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vulnerabilities, "MOST_FLAWS", 1)
    install(home, "a" * 64, "alpha-1.1", "zeta-1.0", "theta-7")
    found = vulnerabilities.known(home, fresh(tmp_path))
    assert [one.message for one in found][1:] == ["2 more vulnerabilities are known"]


def test_wrong_settings_are_told(home: Home):
    install(home, "a" * 64, "quiet-1.0")
    home.settings_file.write_text("images: {osv: x}\n")
    (finding,) = vulnerabilities.known(home, {})
    assert finding.severity is Severity.ERROR
