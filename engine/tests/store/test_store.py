"""The store: durable, atomic, private, and honest about damage."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    AcceleratorRequest,
    CodeRef,
    Conflict,
    DeviceGrant,
    EnvironmentSpec,
    KeyPair,
    ModelRef,
    Operation,
    OperationKind,
    OperationState,
    ResourceSpec,
    ScalingRecord,
    Secret,
    ServiceSpec,
    StepReport,
    StoreDamaged,
    SystemError_,
    UserError,
)
from modelyard.store import GrantRecord, KeyStore, OperationRecord, RevisionRecord, ServiceRecord, Store
from modelyard.store.codec import from_text, to_text
from modelyard.store.store import SCALING_KEPT

T = TypeVar("T")
SPEC = ServiceSpec(
    name="digits",
    code=CodeRef(source="/src", entry="score.py"),
    models=(ModelRef(name="m", path="/m"),),
    environment=EnvironmentSpec(variables={"A": "1"}, conda={"dependencies": ["python", {"pip": ["x"]}]}),
    resources=ResourceSpec(accelerator=(AcceleratorRequest(kind="gpu"), AcceleratorRequest())),
    given=frozenset({"models", "code"}),
)
SERVICE = ServiceRecord(name="digits", created_at=1.0, revision=2, wanted=3, bounds=(1, 4))
REVISION = RevisionRecord(service="digits", number=2, created_at=1.0, spec=SPEC, model_digests=("a", "b"))
GRANT = GrantRecord(
    replica="digits-r2-abc123",
    service="digits",
    revision=2,
    node="n",
    grant=DeviceGrant(
        backend="gpu",
        device_ids=("GPU-1",),
        environment={"X": "1"},
        docker_device_requests=({"Count": 1, "Capabilities": [["gpu"]]},),
        tolerations=({"key": "gpu"},),
    ),
)


def operation(name: str, *, running: bool = True, service: str = "digits") -> OperationRecord:
    state = OperationState.RUNNING if running else OperationState.SUCCEEDED
    return OperationRecord(
        Operation(
            id=name,
            service=service,
            kind=OperationKind.DEPLOY,
            state=state,
            revision=1,
            steps=(StepReport("place", state, "x", 0.5),),
            result={"unchanged": True},
        ),
        step="place",
        arguments={"minimum": 1},
    )


def within(path: Path, act: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await Store.open(path)
        try:
            return await act(store)
        finally:
            await store.close()

    return asyncio.run(run())


def test_everything_saved_is_there_after_a_restart(tmp_path: Path):
    path = tmp_path / "store.sqlite3"
    within(path, lambda store: store.save(SERVICE, REVISION, GRANT, operation("op")))
    content = within(path, lambda store: store.load())
    assert content.services == (SERVICE,)
    assert content.revisions == (REVISION,)
    assert content.grants == (GRANT,)
    assert content.operations == (operation("op"),)


@given(
    st.builds(
        GrantRecord,
        replica=st.text(),
        service=st.text(),
        revision=st.integers(0),
        node=st.text(),
        grant=st.builds(
            DeviceGrant,
            backend=st.text(),
            device_ids=st.lists(st.text()).map(tuple),
            extended_resources=st.dictionaries(st.text(), st.integers()),
        ),
        draining=st.booleans(),
    )
)
def test_a_grant_survives_its_way_through_text(grant: GrantRecord):
    assert from_text(to_text(grant), GrantRecord) == grant


def test_a_second_running_operation_of_a_service_is_a_conflict_and_changes_nothing(tmp_path: Path):
    async def act(store: Store) -> None:
        await store.save(operation("first"))
        with pytest.raises(Conflict):
            await store.save(SERVICE, operation("second"))
        content = await store.load()
        assert [one.operation.id for one in content.operations] == ["first"]
        assert content.services == ()

    within(tmp_path / "s", act)


def test_a_finished_operation_makes_room_for_the_next(tmp_path: Path):
    async def act(store: Store) -> None:
        await store.save(operation("first"))
        await store.save(operation("first", running=False))
        await store.save(operation("second"))
        assert len((await store.load()).operations) == 2

    within(tmp_path / "s", act)


def test_a_forgotten_service_leaves_only_its_operations(tmp_path: Path):
    async def act(store: Store) -> None:
        await store.save(SERVICE, REVISION, GRANT, operation("op"))
        await store.add_scaling("digits", ScalingRecord(1.0, 1, 2, 0.5, 50.0, "why"))
        await store.forget_service("digits")
        content = await store.load()
        left = (*content.services, *content.revisions, *content.grants, *content.scaling)
        assert left == ()
        assert len(content.operations) == 1

    within(tmp_path / "s", act)


def test_only_the_newest_scaling_decisions_are_kept(tmp_path: Path):
    record = ScalingRecord(1.0, 1, 2, 0.5, 50.0, "why")

    async def act(store: Store) -> None:
        fill = [("digits", to_text(attrs.evolve(record, wanted=n))) for n in range(SCALING_KEPT)]
        store._connection.executemany("INSERT INTO scaling (service, body) VALUES (?, ?)", fill)
        await store.add_scaling("digits", attrs.evolve(record, wanted=9999))
        kept = (await store.load()).scaling["digits"]
        assert (len(kept), kept[0].wanted, kept[-1].wanted) == (SCALING_KEPT, 1, 9999)

    within(tmp_path / "s", act)


def test_the_store_and_its_backup_are_private(tmp_path: Path):
    path = tmp_path / "store.sqlite3"
    within(path, lambda store: store.save(SERVICE))
    for file in (path, tmp_path / "store.sqlite3.bak"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("offset", [0, 20, 4096])
def test_a_damaged_store_is_named_with_a_way_back_that_works(tmp_path: Path, offset: int):
    path = tmp_path / "store.sqlite3"
    within(path, lambda store: store.save(SERVICE))
    within(path, lambda store: store.load())  # a clean start: the backup has the service
    content = bytearray(path.read_bytes())
    content[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(StoreDamaged) as caught:
        within(path, lambda store: store.load())
    assert caught.value.place == str(path)
    assert f"cp {path}.bak {path}" in caught.value.remedy
    assert path.read_bytes() == bytes(content)
    path.write_bytes((tmp_path / "store.sqlite3.bak").read_bytes())
    assert within(path, lambda store: store.load()).services == (SERVICE,)


def test_a_damaged_store_without_backup_says_so(tmp_path: Path):
    path = tmp_path / "store.sqlite3"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreDamaged) as caught:
        within(path, lambda store: store.load())
    assert "there is no backup" in caught.value.remedy


def test_a_row_that_is_no_record_is_damage(tmp_path: Path):
    path = tmp_path / "s"

    async def act(store: Store) -> None:
        store._connection.execute("INSERT INTO services VALUES ('digits', '{}')")
        await store.load()

    with pytest.raises(StoreDamaged):
        within(path, act)


def test_a_full_disk_is_an_error_with_the_path_and_the_store_goes_on(tmp_path: Path):
    path = tmp_path / "s"
    big = attrs.evolve(REVISION, cause="x" * 1_000_000)

    async def act(store: Store) -> None:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(SystemError_, match="full") as caught:
            await store.save(SERVICE, big)
        assert caught.value.place == str(path)
        store._connection.execute("PRAGMA max_page_count = 100000")
        assert (await store.load()).services == ()
        await store.save(SERVICE)

    within(path, act)


def test_a_newer_store_is_refused_untouched(tmp_path: Path):
    path = tmp_path / "s"
    within(path, lambda store: store.load())
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="version 99"):
        within(path, lambda store: store.load())


KEYS = KeyPair(primary=Secret("p" * 40), secondary=Secret("s" * 40))


def test_keys_are_kept_in_a_private_file_and_forgotten(tmp_path: Path):
    keys = KeyStore(tmp_path / "keys")
    keys.write("digits", KEYS)
    assert keys.read("digits") == KEYS
    assert stat.S_IMODE((tmp_path / "keys/digits.json").stat().st_mode) == 0o600
    keys.delete("digits")
    keys.delete("digits")
    assert keys.read("digits") is None


def test_a_broken_key_file_is_named_without_its_content(tmp_path: Path):
    keys = KeyStore(tmp_path)
    (tmp_path / "digits.json").write_text('{"primary": "mk_secret', encoding="utf-8")
    with pytest.raises(StoreDamaged) as caught:
        keys.read("digits")
    assert "mk_secret" not in f"{caught.value} {caught.value.__cause__}"
