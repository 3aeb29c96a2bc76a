"""Solving conda files: for the image's platform, once, and with what stands in the way named."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import EnvironmentUnsolvable, ModelyardError, SystemError_, Unavailable, UserError
from modelyard.environments import (
    CondaLock,
    CondaPlatform,
    CondaSettings,
    CondaSpec,
    conda_platform,
    parse_conda_lock,
)
from modelyard.environments.conda.explaining import unreachable
from modelyard.environments.conda.solving import conda_spec_key, sources_of
from modelyard.processes import Home

from .conftest import PLATFORM, Conda
from .making import Made, unlist, write_channel
from .serving import serving

ARM = conda_platform("aarch64", "glibc-2.31")


def versions(lock: CondaLock) -> dict[str, str]:
    return {one.name: one.version for one in lock.packages}


def test_a_lock_has_every_package_with_all_that_names_it(conda: Conda, channel: Path):
    lock = conda.solve(conda.spec("purely", channels=(channel,)))
    assert [one.name for one in lock.packages] == ["libtiny", "purely", "python"]
    purely = lock.package("purely")
    assert purely is not None
    archive = channel / "noarch/purely-2.0-0.conda"
    assert (purely.url, purely.size) == (archive.as_uri(), archive.stat().st_size)
    assert (purely.channel, purely.subdir, purely.noarch) == (channel.as_uri(), "noarch", "python")
    assert parse_conda_lock(lock.text, spec_key=lock.spec_key) == lock


def test_a_file_is_solved_once_and_its_record_is_taken_from_then_on(
    conda: Conda, channel: Path, records: object
):
    spec = conda.spec("libtiny", channels=(channel,))
    first = conda.solve(spec)
    write_channel(channel, Made("libtiny", "2.0"))
    assert conda.solve(spec) == conda.solve(spec, frozen=True) == first
    assert versions(conda.solve(spec, refresh=True)) == {"libtiny": "2.0"}
    assert records.saved == 2  # type: ignore[attr-defined]
    assert versions(conda.solve(spec, frozen=True)) == {"libtiny": "2.0"}


def test_frozen_takes_nothing_that_is_not_recorded(conda: Conda, channel: Path):
    with pytest.raises(EnvironmentUnsolvable, match="no lock of this conda file is recorded for linux-64"):
        conda.solve(conda.spec("libtiny", channels=(channel,)), frozen=True)


def test_a_damaged_record_is_solved_again(conda: Conda, channel: Path, records: object):
    spec = conda.spec("libtiny", channels=(channel,))
    first = conda.solve(spec)
    records.texts[first.spec_key] = first.text[:-20]  # type: ignore[attr-defined]
    assert conda.solve(spec) == first
    assert any("is damaged" in line for line in conda.lines)


def test_packages_are_those_of_the_images_platform_not_of_this_machine(conda: Conda, tmp_path: Path):
    some = [Made("native", build=arch, subdir=f"linux-{arch}") for arch in ("64", "aarch64")]
    channel = write_channel(tmp_path / "c", *some)
    spec = conda.spec("native", channels=(channel,))
    assert [one.subdir for one in conda.solve(spec).packages] == ["linux-64"]
    lock = conda.solve(spec, ARM)
    assert [one.subdir for one in lock.packages] == ["linux-aarch64"]
    assert (lock.machine, lock.glibc) == ("aarch64", "2.31")


@pytest.mark.parametrize(
    ("platform", "version"),
    [
        (PLATFORM, "1"),
        (conda_platform("x86_64", "glibc-2.41"), "2"),
        (conda_platform("x86_64", "glibc-2.36", archspec="x86_64_v4"), "3"),
        (conda_platform("x86_64", "glibc-2.36", cuda="12.4"), "4"),
        (conda_platform("x86_64", "glibc-2.36", linux="6.1"), "5"),
    ],
)
def test_what_the_image_has_decides_between_builds(
    conda: Conda, tmp_path: Path, platform: CondaPlatform, version: str
):
    needs = ["__glibc >=2.17", "__glibc >=2.40", "__archspec 1 x86_64_v4", "__cuda >=12", "__linux >=5.10"]
    some = [Made("fast", str(1 + number), depends=(need,)) for number, need in enumerate(needs)]
    channel = write_channel(tmp_path / "c", *some)
    assert versions(conda.solve(conda.spec("fast", channels=(channel,)), platform)) == {"fast": version}


def test_an_earlier_channel_wins_whatever_a_later_one_has(conda: Conda, tmp_path: Path):
    first = write_channel(tmp_path / "first", Made("both", "1.0"))
    second = write_channel(tmp_path / "second", Made("both", "9.0"), Made("only", "1.0"))
    asked = ("both", "only")
    assert versions(conda.solve(conda.spec(*asked, channels=(first, second))))["both"] == "1.0"
    assert versions(conda.solve(conda.spec(*asked, channels=(second, first))))["both"] == "9.0"
    with pytest.raises(EnvironmentUnsolvable, match="both"):
        conda.solve(conda.spec("both=9", channels=(first, second)))


def test_a_dependency_may_name_a_channel_of_its_own(conda: Conda, tmp_path: Path):
    first = write_channel(tmp_path / "first", Made("a", "1.0"), Made("special", "9.0"))
    other = write_channel(tmp_path / "other", Made("special", "1.0"), Made("a", "2.0"))
    conda.settings = CondaSettings(alias=tmp_path.as_uri())
    lock = conda.solve(conda.spec("a", "other::special=1", channels=(first,)))
    assert versions(lock) == {"a": "1.0", "special": "1.0"}
    special = lock.package("special")
    assert special is not None
    assert special.channel == other.as_uri()


def test_a_dependency_of_several_channels_is_refused(conda: Conda, channel: Path):
    with pytest.raises(EnvironmentUnsolvable, match="`nodefaults` does not name one channel") as caught:
        conda.solve(conda.spec("libtiny", "nodefaults::libtiny", channels=(channel,)))
    assert caught.value.place == "environment.conda.dependencies[1]"


@pytest.mark.parametrize(
    ("dependencies", "place", "says", "remedy"),
    [
        (("libtiny", "nosuch"), "[1]", "No candidates were found for nosuch", "check the spelling"),
        (("libtiny=9",), "[0]", r"libtiny 9\.\*", "relax one of `libtiny 9.*`"),
        (("old", "libtiny"), "[0]", r"libtiny <1.* no candidates", "relax one of `old`, `libtiny`"),
        (("picky", "libtiny"), "[1]", "libtiny", "relax one of"),
        (("modern",), "[0]", r"__glibc >=2\.99", "the image has __glibc 2.36"),
        (("gpu",), "[0]", "__cuda", "the image has no __cuda"),
    ],
)
def test_what_does_not_resolve_is_named(
    conda: Conda, channel: Path, dependencies: tuple[str, ...], place: str, says: str, remedy: str
):
    write_channel(
        channel,
        Made("old", depends=("libtiny <1",)),
        Made("picky", constrains=("libtiny >5",)),
        Made("modern", depends=("__glibc >=2.99",)),
        Made("gpu", depends=("__cuda",)),
    )
    with pytest.raises(EnvironmentUnsolvable, match=says) as caught:
        conda.solve(conda.spec(*dependencies, channels=(channel,)))
    assert caught.value.place == f"environment.conda.dependencies{place}"
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)
    assert "linux-64 with glibc 2.36" in caught.value.message


def test_a_channel_that_is_none_is_told(conda: Conda, tmp_path: Path):
    with pytest.raises(EnvironmentUnsolvable, match="is not there: could not find subdir") as caught:
        conda.solve(conda.spec("a", channels=(tmp_path / "nothing",)))
    assert caught.value.place == "environment.conda.channels"
    with serving(tmp_path) as served, pytest.raises(EnvironmentUnsolvable, match="is not there"):
        conda.solve(conda.spec("a", channels=(f"{served.url}/no",)))


def test_a_channel_that_is_away_is_unavailable(conda: Conda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("modelyard.environments.conda.clients._RETRIES", 0)
    with serving(tmp_path) as served:
        url = served.url
        served.status = 503
        with pytest.raises(Unavailable, match="does not answer"):
            conda.solve(conda.spec("a", channels=(url,)))
    with pytest.raises(Unavailable, match="does not answer"):
        conda.solve(conda.spec("a", channels=(url,)))


def test_a_damaged_channel_is_unavailable(conda: Conda, channel: Path):
    (channel / "linux-64/repodata.json").write_text('{"packages": {"libtiny')
    with pytest.raises(Unavailable, match=r"cannot be read: failed to parse repodata"):
        conda.solve(conda.spec("libtiny", channels=(channel,)))


def test_a_package_without_a_hash_is_not_locked(conda: Conda, tmp_path: Path):
    made = Made("bare")
    channel = write_channel(tmp_path / "c", made)
    unlist(channel, made, "sha256")
    with pytest.raises(EnvironmentUnsolvable, match=r"cannot be locked: bare has no .* hash"):
        conda.solve(conda.spec("bare", channels=(channel,)))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("HTTP status client error (401 Unauthorized) for url (http://h/c)", UserError),
        ("HTTP status client error (403 Forbidden) for url (http://h/c)", UserError),
        ("HTTP status server error (502 Bad Gateway) for url (http://h/c)", Unavailable),
        ("HTTP status client error (429 Too Many Requests) for url", Unavailable),
        ("failed to write: No space left on device (os error 28)", SystemError_),
    ],
)
def test_what_rattler_says_of_a_channel_is_told_by_its_kind(
    tmp_path: Path, said: str, kind: type[ModelyardError]
):
    assert type(unreachable(said, [], tmp_path)) is kind


def test_a_full_disk_is_told(conda: Conda, channel: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(SystemError_, match="the disk is full"):
        conda.solve(conda.spec("libtiny", channels=(channel,)))


def test_a_solve_that_is_cancelled_ends_at_once(conda: Conda, channel: Path):
    from modelyard.environments import solve_conda

    async def cancelled() -> None:
        spec = conda.spec("purely", channels=(channel,))
        task = asyncio.ensure_future(
            solve_conda(spec, PLATFORM, home=conda.home, records=conda.records, settings=conda.settings)
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert conda.records.saved == 0


@pytest.mark.parametrize(
    ("machine", "libc"),
    [("riscv64", "glibc-2.36"), ("x86_64", ""), ("x86_64", "musl-1.2"), ("", "glibc-2.36")],
)
def test_a_base_that_conda_has_nothing_for_is_refused(machine: str, libc: str):
    with pytest.raises(EnvironmentUnsolvable, match="conda packages are laid out for Linux"):
        conda_platform(machine, libc)


@pytest.mark.parametrize("more", [{"linux": "new"}, {"cuda": "12.x"}])
def test_a_version_that_is_none_is_refused(more: dict[str, str]):
    with pytest.raises(EnvironmentUnsolvable, match="is no version"):
        conda_platform("x86_64", "glibc-2.36", **more)


SETTINGS = CondaSettings(alias="https://alias.invalid")


def key(*channels: str, wanted: tuple[str, ...] = ("a",), platform: CondaPlatform = PLATFORM) -> str:
    spec = CondaSpec.read({"channels": list(channels), "dependencies": list(wanted)})
    return conda_spec_key(spec, sources_of(spec, SETTINGS), platform)


def test_a_key_has_the_channels_addresses_and_no_credentials():
    assert (
        key("mine") == key("https://alias.invalid/mine") == key("https://me:s3cret@alias.invalid/t/tk-1/mine")
    )
    assert key("mine", wanted=("mine::a",)) == key("mine", wanted=("https://x:y@alias.invalid/mine::a",))


@pytest.mark.parametrize(
    "other",
    [
        key("b", "a"),
        key("a"),
        key("a", "b", wanted=("a", "c")),
        key("a", "b", wanted=("a=1",)),
        key("a", "b", platform=ARM),
        key("a", "b", platform=attrs.evolve(PLATFORM, glibc="2.17")),
        key("a", "b", platform=attrs.evolve(PLATFORM, cuda="12")),
    ],
)
def test_all_that_a_solution_depends_on_counts_for_the_key(other: str):
    assert other != key("a", "b")


@given(st.lists(st.sampled_from(["a", "b=1", "c::d", "e>=2"]), min_size=1), st.randoms())
def test_the_order_of_dependencies_does_not_count_for_the_key(wanted: list[str], random: object):
    shuffled = random.sample(wanted, len(wanted))  # type: ignore[attr-defined]
    assert key("a", wanted=tuple(wanted)) == key("a", wanted=tuple(shuffled))


def test_an_environment_of_nothing_is_solved(conda: Conda, channel: Path, home: Home):
    assert conda.solve(conda.spec(channels=(channel,))).packages == ()
    assert home.conda.stat().st_mode & 0o077 == 0
