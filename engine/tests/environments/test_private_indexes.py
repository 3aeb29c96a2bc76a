"""Private package indexes: shown what they want to see, through a proxy too, and nothing else ever is."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import attrs
import pytest
from modelyard.api import BasePython, EnvironmentSpec, EnvironmentUnsolvable, ModelyardError
from modelyard.environments import (
    Asked,
    Interpreter,
    ensure,
    lay_out,
    lock_of,
    solve,
    solve_for_base,
    spec_key,
)
from modelyard.environments.keys import normalised, public_address
from modelyard.processes import Home

from .conda.test_private_channels import certificates, holding
from .conftest import Records, write_wheel
from .indexing import Index, indexing, proxying

SECRET = "s3cret-0123456789"
ASKED = ("modelish",)
FORMS = (SECRET, base64.b64encode(f"me:{SECRET}".encode()).decode())


@attrs.frozen
class Way:
    """One way to be let in: what the index wants, and where the user has written it."""

    user: str = ""
    below: str = ""
    where: str = "address"

    def set(self, index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if self.where == "address":
            monkeypatch.setenv("UV_DEFAULT_INDEX", index.with_user(self.user.removesuffix(":")))
        elif self.where == "variables":
            monkeypatch.setenv("UV_INDEX", f"company={index.url}")
            monkeypatch.setenv("UV_INDEX_COMPANY_USERNAME", "me")
            monkeypatch.setenv("UV_INDEX_COMPANY_PASSWORD", SECRET)
        elif self.where == "netrc":
            (folder / "netrc").write_text(f"machine localhost login me password {SECRET}\n")
            monkeypatch.setenv("NETRC", str(folder / "netrc"))
            monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        else:
            monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)


WAYS = {
    "user in the address": Way(user=f"me:{SECRET}"),
    "token in the address": Way(user=f"{SECRET}:"),
    "token in the path": Way(below=f"{SECRET}/", where="path"),
    "user in variables": Way(user=f"me:{SECRET}", where="variables"),
    "user in netrc": Way(user=f"me:{SECRET}", where="netrc"),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Wheels, and a user who has nothing set that leads elsewhere."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "mathy", "1.0")
    write_wheel(folder, "modelish", "3.1", requires=("mathy>=1",))
    for name in [one for one in os.environ if one.startswith("UV_") or one.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    # an index on loopback would be asked directly
    monkeypatch.setenv("NO_PROXY", "")
    return folder


@pytest.fixture
def private(wheels: Path, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with indexing(wheels, user=way.user, below=way.below) as index:
        way.set(index, tmp_path, monkeypatch)
        if way.where == "variables":  # the default is asked too: it is this one, and not a real one
            monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        yield index


def without_secret(texts: list[str]) -> None:
    for form in FORMS:
        assert [text for text in texts if form in text] == []


def test_a_private_index_is_used_on_the_process_target_and_its_secret_is_nowhere(
    private: Index, home: Home, records: Records, interpreter: Interpreter, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(0)
    lines: list[str] = []
    spec = EnvironmentSpec(requirements=ASKED)

    async def build() -> Path:
        lock = await solve(
            spec, interpreter=interpreter, runtime=None, home=home, records=records, on_line=lines.append
        )
        assert lock.packages == ("mathy==1.0", "modelish==3.1")
        return await ensure(lock, interpreter, runtime=None, home=home, on_line=lines.append)

    folder = asyncio.run(build())
    assert list(folder.glob("lib/python3*/site-packages/modelish"))
    assert any(path.startswith("/files/") for path in private.asked)
    without_secret([*lines, caplog.text, *records.texts, *records.texts.values()])
    assert spec_key(spec, interpreter, "") in records.texts
    assert holding(home.cache, list(FORMS)) == []


def test_a_private_index_is_used_for_images_and_its_secret_is_in_no_layer(
    private: Index, home: Home, records: Records, base: BasePython, tmp_path: Path
):
    lines: list[str] = []

    async def build() -> str:
        lock = await solve_for_base(
            Asked(ASKED), base, key="k", runtime=None, home=home, records=records, on_line=lines.append
        )
        prefix, tree = PurePosixPath("/opt/env"), tmp_path / "work/tree"
        await lay_out(lock_of(lock), tree, prefix=prefix, python=base, runtime=None, on_line=lines.append)
        return lock

    without_secret([asyncio.run(build()), *lines])
    assert private.asked
    assert list((tmp_path / "work/tree").glob("lib/python3*/site-packages/modelish"))
    assert holding(tmp_path / "work", list(FORMS)) == []
    assert holding(home.cache, list(FORMS)) == []
    assert not list((tmp_path / "work").rglob("direct_url.json"))


@pytest.mark.parametrize("asked", [("nosuchthing",), ("modelish>=9",)])
def test_what_a_private_index_has_not_is_told_without_its_secret(
    private: Index, home: Home, records: Records, base: BasePython, asked: tuple[str, ...]
):
    lines: list[str] = []
    assert private.url
    with pytest.raises(ModelyardError) as caught:
        asyncio.run(
            solve_for_base(
                Asked(asked), base, key="k", runtime=None, home=home, records=records, on_line=lines.append
            )
        )
    assert asked[0].partition(">")[0] in caught.value.message
    without_secret([str(caught.value), repr(caught.value), *lines])


def test_wrong_credentials_are_told_with_the_variables_that_mend_them(
    wheels: Path, home: Home, records: Records, base: BasePython, monkeypatch: pytest.MonkeyPatch
):
    with indexing(wheels, user="me:other") as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.with_user(f"me:{SECRET}"))
        with pytest.raises(EnvironmentUnsolvable, match="wants other credentials") as caught:
            asyncio.run(solve_for_base(Asked(ASKED), base, key="k", runtime=None, home=home, records=records))
    assert "UV_INDEX_<NAME>_PASSWORD" in caught.value.remedy
    without_secret([str(caught.value)])


def test_an_index_that_is_away_is_told_without_its_secret(
    wheels: Path, home: Home, records: Records, base: BasePython, monkeypatch: pytest.MonkeyPatch
):
    with indexing(wheels, user=f"me:{SECRET}") as index:
        gone = index.with_user(f"me:{SECRET}")
    monkeypatch.setenv("UV_DEFAULT_INDEX", gone)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    lines: list[str] = []
    with pytest.raises(ModelyardError, match="does not answer") as caught:
        asyncio.run(
            solve_for_base(
                Asked(ASKED), base, key="k", runtime=None, home=home, records=records, on_line=lines.append
            )
        )
    without_secret([str(caught.value), *lines])


def test_an_index_of_a_private_authority_is_reached_through_a_proxy(
    wheels: Path,
    home: Home,
    records: Records,
    interpreter: Interpreter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    authority, server = certificates(tmp_path)
    lines: list[str] = []
    with (
        indexing(wheels, user=f"me:{SECRET}", tls=server) as index,
        proxying(user=f"through:{SECRET}") as proxy,
    ):
        for name, value in {
            "UV_DEFAULT_INDEX": index.with_user(f"me:{SECRET}"),
            "HTTPS_PROXY": proxy.url,
            "SSL_CERT_FILE": str(authority),
        }.items():
            monkeypatch.setenv(name, value)
        lock = asyncio.run(
            solve(
                EnvironmentSpec(requirements=ASKED),
                interpreter=interpreter,
                runtime=None,
                home=home,
                records=records,
                on_line=lines.append,
            )
        )
        assert lock.packages == ("mathy==1.0", "modelish==3.1")
        assert set(proxy.hosts) == {index.url.split("/")[2]}
    without_secret([*lines, lock.text, *records.texts])


@pytest.mark.parametrize(
    "line",
    [f"pkg @ https://me:{SECRET}@h.example/p-1-py3-none-any.whl", f"pkg @ git+https://{SECRET}@h.example/p"],
)
def test_credentials_in_a_requirement_are_refused_and_not_quoted(line: str):
    with pytest.raises(EnvironmentUnsolvable, match="has credentials in its address") as caught:
        normalised([line])
    assert "UV_INDEX_<NAME>_PASSWORD" in caught.value.remedy
    without_secret([str(caught.value)])


@pytest.mark.parametrize("password", [SECRET, "p@ss:word", "a%40b"])
def test_no_part_of_a_password_is_left_in_an_address(password: str):
    assert (
        public_address(f"see `https://me:{password}@h.example/a` and b@c")
        == "see `https://h.example/a` and b@c"
    )
