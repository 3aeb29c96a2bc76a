"""Reading the database: within bounds, once, and never calling clean what could not be read."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import attrs
import pytest
from modelyard.environments.advisories import Report, find_folder, known_vulnerabilities
from modelyard.environments.advisories import database as databases

from engine.tests.environments.advisories.making import ENTRIES, NOW, database, pin, write_database

PINS = [pin("alpha", "1.1"), pin("beta-two", "3.2"), pin("quiet", "1.0")]
DAY = 24 * 3600


def look(folder: Path, **changes: object) -> Report:
    return known_vulnerabilities(PINS, database(folder, **changes))


def test_what_is_known_is_found_and_the_rest_is_clean(tmp_path: Path):
    write_database(tmp_path)
    report = look(tmp_path)
    assert [one.ids[0] for one in report.found] == ["TEST-2026-01"]
    assert (report.checked, report.undecided, report.unknown) == (3, (), "")
    assert not report.is_clean
    assert known_vulnerabilities(PINS[1:], database(tmp_path)).is_clean


@pytest.mark.parametrize("release", ["osv-scanner", "osv-scalibr"])
def test_the_folders_of_osv_scanners_releases_are_found_too(tmp_path: Path, release: str):
    write_database(tmp_path / release)
    assert look(tmp_path).found


def test_of_two_databases_the_newer_one_counts(tmp_path: Path):
    old = write_database(tmp_path / "osv-scanner")
    os.utime(old, (NOW - DAY, NOW - DAY))
    write_database(tmp_path / "osv-scalibr", ENTRIES[3:])
    assert not look(tmp_path).found


def test_without_a_database_nothing_is_known_and_nothing_is_clean(tmp_path: Path):
    report = look(tmp_path)
    assert not report.is_clean
    assert report.is_missing
    assert str(tmp_path / "PyPI" / "all.zip") in report.unknown
    assert "images.osv_database" in report.remedy


def test_an_old_database_finds_what_it_knows_and_calls_nothing_clean(tmp_path: Path):
    write_database(tmp_path)
    old = attrs.evolve(database(tmp_path), clock=lambda: NOW + 20 * DAY)
    report = known_vulnerabilities(PINS, old)
    assert report.found
    assert "days old" in report.unknown
    quiet = known_vulnerabilities(PINS[2:], old)
    assert (quiet.found, quiet.is_clean) == ((), False)
    assert known_vulnerabilities(PINS[2:], attrs.evolve(old, max_age_days=30)).is_clean


def test_an_entry_from_the_future_does_not_keep_a_database_young(tmp_path: Path):
    write_database(tmp_path, [*ENTRIES, ENTRIES[0] | {"id": "X", "modified": "2199-01-01T00:00:00Z"}])
    old = attrs.evolve(database(tmp_path), clock=lambda: NOW + 20 * DAY)
    assert "days old" in known_vulnerabilities(PINS, old).unknown


def broken(content: bytes) -> bytes:
    """Give a zip whose one member is broken on its way."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", json.dumps(ENTRIES[0]))
    whole = bytearray(file.getvalue())
    at = whole.index(b"a.json") + 10
    whole[at : at + 20] = content
    return bytes(whole)


def zipped(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.json", content)
    return file.getvalue()


GOOD = json.dumps(ENTRIES[0]).encode()
DAMAGE = {
    "empty": b"",
    "text": b"not a zip" * 100,
    "cut": zipped(a=GOOD)[:-30],
    "broken": broken(b"\xff" * 20),
    "no entries": zipped(),
    "no JSON": zipped(a=b"{"),
    "no entry": zipped(a=GOOD, b=b"[]"),
    "deep": zipped(a=b"[" * 200_000),
    "other packing": zipped(zipfile.ZIP_LZMA, a=GOOD),
    "bomb": zipped(a=b" " * (databases.MOST_ENTRY_BYTES + 1)),
    "offset beyond": zipped(a=GOOD)[:-6] + struct.pack("<L", 2**31) + b"\0\0",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_database_is_unknown_with_the_remedy_and_never_clean(tmp_path: Path, kind: str):
    file = write_database(tmp_path)
    file.write_bytes(DAMAGE[kind])
    report = look(tmp_path)
    assert report.unknown.startswith("the database is damaged: ")
    assert "osv-scanner" in report.remedy
    assert not report.is_clean


def test_a_member_that_says_it_is_small_is_not_unpacked_beyond_the_bound(tmp_path: Path):
    file = write_database(tmp_path)
    whole = bytearray(zipped(a=b" " * (50 * databases.MOST_ENTRY_BYTES)))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", whole, whole.index(mark) + offset, 10)
    file.write_bytes(whole)
    tracemalloc.start()
    try:
        report = look(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 4 * databases.MOST_ENTRY_BYTES
    finally:
        tracemalloc.stop()
    assert report.unknown


@pytest.mark.parametrize("bound", ["MOST_ENTRIES", "MOST_BYTES", "MOST_DIRECTORY_BYTES"])
def test_what_is_larger_than_any_real_one_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
):
    write_database(tmp_path)
    monkeypatch.setattr(databases, bound, 5)
    assert "larger than any real one" in look(tmp_path).unknown


def test_entries_are_read_once_and_again_when_the_database_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = write_database(tmp_path)
    assert look(tmp_path).found
    read: list[str] = []
    real = databases._read
    monkeypatch.setattr(
        databases, "_read", lambda archive, member: read.append(member) or real(archive, member)
    )
    assert look(tmp_path).found
    about_the_pins = [f"TEST-2026-0{number}.json" for number in (1, 2, 3, 4)]
    assert read == about_the_pins
    write_database(tmp_path, ENTRIES[3:])
    os.utime(file, (NOW, NOW))
    assert not look(tmp_path).found


def test_a_reading_that_ran_out_of_time_goes_on_where_it_was(tmp_path: Path):
    write_database(tmp_path)
    for number in range(1, 10):
        report = look(tmp_path, reading_seconds=0)
        assert f"{number} of 10 entries" in report.unknown
        assert not report.is_clean
    assert look(tmp_path, reading_seconds=0).found


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"identity": 1, "read": "x", "modified": "", "packages": {}}', b"[" * 99_999],
)
def test_a_damaged_index_is_made_anew(tmp_path: Path, content: bytes):
    write_database(tmp_path)
    look(tmp_path)
    (index,) = (tmp_path / "cache").iterdir()
    index.write_bytes(content)
    assert look(tmp_path).found


def test_a_cache_that_cannot_be_written_changes_no_answer(tmp_path: Path):
    write_database(tmp_path)
    (tmp_path / "cache").write_text("a file")
    assert look(tmp_path).found


def test_the_folder_is_the_setting_else_the_tools_own():
    assert find_folder({"OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY": "/a"}, Path("/b")) == Path("/b")
    assert find_folder({"OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY": "/a", "HOME": "/h"}) == Path("/a")
    assert find_folder({"HOME": "/h", "XDG_CACHE_HOME": "/c"}) == Path("/c")
    assert find_folder({"HOME": "/h"}) == Path("/h/.cache")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_database_of_twenty_thousand_entries_is_looked_up_in_time_and_in_little_memory(tmp_path: Path):
    padding = {"details": "What is known of it, at length. " * 40}
    entries = [
        ENTRIES[0]
        | padding
        | {"id": f"GEN-{number}", "aliases": [f"CVE-{number}"]}
        | about(f"p{number % 6000}")
        for number in range(20_000)
    ]
    write_database(tmp_path, [*entries, ENTRIES[9]])
    pins = [pin(f"p{number}", "1.1") for number in range(200)]
    patient = database(tmp_path, reading_seconds=60.0)
    tracemalloc.start()
    try:
        first = known_vulnerabilities(pins, patient)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()
    before = time.monotonic()
    again = known_vulnerabilities(pins, patient)
    assert time.monotonic() - before < 2.5, "half of what a check has"
    assert again == first
    assert len(first.found) == 200 * 4


def about(name: str) -> dict[str, object]:
    return {"affected": [ENTRIES[0]["affected"][0] | {"package": {"ecosystem": "PyPI", "name": name}}]}
