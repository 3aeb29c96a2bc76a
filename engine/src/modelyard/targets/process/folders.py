"""The folder of one replica: its contract, its state, who runs it. What is on disk is all there is to know.

start.json   the contract, written before anything runs
grant.json   what the replica was asked and granted, which the contract does not say
parent.json  the parent's pid and start time, written once it runs
state.json   the parent's own report
deleting     present = being removed: never started again
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import attrs
from modelyard_runtime.contract import (
    CONTRACT_FILE,
    SOCKET_FILE,
    STATE_FILE,
    ContractError,
    ReplicaState,
    StartContract,
    read_contract,
    read_state,
    write_contract,
)

from modelyard.processes import ProcessRef, alive, disk_errors, find_process, write_atomic
from modelyard.targets.replicas import NOTHING, Granted, check_id, is_id


@attrs.frozen
class ReplicaFolder:
    """Reads and writes one replica's folder; every read tolerates what a crash left behind."""

    path: Path

    @property
    def id(self) -> str:
        """The replica's id is the folder's name."""
        return self.path.name

    @property
    def contract_file(self) -> Path:
        """What the parent is started with."""
        return self.path / CONTRACT_FILE

    @property
    def socket(self) -> Path:
        """The replica's listener."""
        return self.path / SOCKET_FILE

    @property
    def deleting(self) -> bool:
        """Whether somebody began to remove it."""
        return (self.path / "deleting").exists()

    def write(self, contract: StartContract, granted: Granted) -> None:
        """Write everything the replica needs; the contract last, since it makes the folder whole."""
        with disk_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self.path / "grant.json", json.dumps(attrs.asdict(granted)).encode())
            write_contract(contract, self.contract_file)

    def write_parent(self, ref: ProcessRef) -> None:
        """Remember who runs it, before its own first report."""
        write_atomic(self.path / "parent.json", json.dumps(attrs.asdict(ref)).encode())

    def mark_deleting(self) -> None:
        """Make sure that it is never started again."""
        with disk_errors(self.path):
            (self.path / "deleting").touch()

    def remove(self) -> None:
        """Remove it whole; the contract first, so that a crash leaves nothing that looks startable."""
        self.contract_file.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def contract(self) -> StartContract | None:
        """Read the contract; None when it is missing or damaged."""
        try:
            return read_contract(self.contract_file)
        except ContractError:
            return None

    def state(self) -> ReplicaState | None:
        """Read the parent's last report; None when there is none."""
        try:
            return read_state(self.path / STATE_FILE)
        except ContractError:
            return None

    def granted(self) -> Granted:
        """Read what was set apart; nothing when unknown."""
        try:
            raw = json.loads((self.path / "grant.json").read_text(encoding="utf-8"))
            return Granted(**(raw | {"device_ids": tuple(raw["device_ids"])}))
        except (OSError, ValueError, TypeError, KeyError):
            return NOTHING

    def recorded_parent(self) -> ProcessRef | None:
        """Return the newest parent on record, dead or alive."""
        refs = [ref for ref in (self._own_record(), self._reported()) if ref is not None]
        return next((ref for ref in refs if alive(ref)), refs[0] if refs else None)

    def living_parent(self) -> ProcessRef | None:
        """Return the parent that runs now, even one that nobody wrote down."""
        ref = self.recorded_parent()
        if ref is not None and alive(ref):
            return ref
        return find_process(str(self.contract_file))

    def _own_record(self) -> ProcessRef | None:
        try:
            return ProcessRef(**json.loads((self.path / "parent.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _reported(self) -> ProcessRef | None:
        state = self.state()
        return ProcessRef(state.parent_pid, state.parent_start_ticks) if state else None


def replica_folder(replicas: Path, replica: str) -> ReplicaFolder:
    """Return the folder of a replica; raises `UserError` for an id that is none."""
    check_id(replica)
    return ReplicaFolder(replicas / replica)


def replica_folders(replicas: Path) -> list[ReplicaFolder]:
    """List every replica's folder, in order of ids."""
    try:
        entries = sorted(replicas.iterdir())
    except FileNotFoundError:
        return []
    return [ReplicaFolder(entry) for entry in entries if entry.is_dir() and is_id(entry.name)]
