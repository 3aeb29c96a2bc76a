"""`engine images` on a real engine: a real base, real layers, real locks, and a target that takes images."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard.environments import parse_pins
from modelyard_registry.layout import OciLayoutRegistry

from tests.conftest import ROOT, RunningEngine, doubler, engine_at
from tests.e2e.paper_plugin import install
from tests.e2e.test_documentation import Command, Reader, shown
from tests.testbed.fixtures import base_of_machine
from tests.testbed.machine_base import MachineBase

__all__ = ["base_of_machine"]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
PAGE = ROOT / "docs" / "how-to" / "manage-images.md"
KEY = "0123456789ab"


@pytest.fixture
def engine(
    home_folder: Path, environments: Path, tmp_path: Path, base_of_machine: MachineBase
) -> Iterator[RunningEngine]:
    home = home_folder / "home"
    with engine_at(home, environments) as running:
        (home / "settings.yaml").write_text(
            (home / "settings.yaml").read_text() + "images: {base: oci-layout/base/machine:1}\n"
        )
        asyncio.run(base_of_machine.push(OciLayoutRegistry(home / "registry")))
        paths = [str(install(tmp_path / "plugins")), os.environ.get("PYTHONPATH", "")]
        running.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        running.up()
        yield running


def project(folder: Path, *, more: str = "") -> Path:
    return doubler(folder, name="digits", more=f"target: paper\n{more}")


def test_the_how_to_works_from_the_first_command_to_the_last(engine: RunningEngine, tmp_path: Path) -> None:
    project(tmp_path / "digits")
    reader = Reader(engine, tmp_path)
    for step in shown(PAGE):
        assert isinstance(step, Command)
        line = step.line
        if KEY in line:
            line = line.replace(KEY, engine.cli("images", "show", "digits", "--json").json["key"][:12])
        reader.run(Command(line, step.expected))


def test_an_image_lives_from_its_lock_to_its_end(engine: RunningEngine, tmp_path: Path) -> None:
    folder = project(tmp_path / "digits")
    refused = engine.cli("deploy", "--frozen", folder)
    assert (refused.code, "remedy: run `engine images lock`" in refused.err) == (1, True)
    locked = engine.cli("images", "lock", folder, "--json").json
    assert (locked["stored"], locked["was_stored"]) == (True, False)
    deployed = engine.cli("deploy", "--frozen", folder)
    assert deployed.code == 0, deployed.out + deployed.err

    listed = engine.cli("images", "list", "--json").json["images"]
    environment, service = sorted(listed, key=lambda one: one["kind"])
    assert (environment["tag"], environment["used_by"]) == (locked["lock_key"], ["digits:1"])
    assert (service["kind"], service["tag"], service["used_by"]) == ("service", "1", ["digits:1"])
    details = engine.cli("images", "show", "digits", "--json").json
    assert [one["part"] for one in details["layers"]][:2] == ["base", "environment"]
    lock = engine.cli("images", "show", locked["lock_key"][:12], "--lock").out
    assert len(parse_pins(lock)) == environment["packages"]

    plan = engine.cli(
        "plan", "--json", project(tmp_path / "digits", more="environment: {requirements: [attrs]}\n")
    )
    assert "requirements: +attrs" in plan.json["environment_why"]

    pushed = engine.cli("images", "push", "digits", "company", "--json").json
    assert pushed["digest"] == environment["digest"]
    kept = engine.cli("images", "prune", "--keep-days", "0", "--json").json
    assert [one for one in kept["removed"] if one["kind"] == "image"] == []
    assert engine.cli("delete", "digits").code == 0
    pruned = engine.cli("images", "prune", "--keep-days", "0", "--json").json
    assert locked["lock_key"] in str(pruned["removed"])
    assert environment["tag"] not in str(engine.cli("images", "list", "--json").json)

    pulled = engine.cli("images", "pull", f"company/images/environments:{environment['tag']}", "--json").json
    assert pulled["digest"] == environment["digest"]
    again = engine.cli("deploy", project(tmp_path / "again"))
    assert again.code == 0, again.out + again.err
    assert "(cached)" in again.out


def test_a_service_of_processes_is_deployed_from_its_lock_alone(
    engine: RunningEngine, tmp_path: Path
) -> None:
    folder = doubler(tmp_path / "doubler")
    refused = engine.cli("deploy", "--frozen", folder)
    assert (refused.code, "remedy: run `engine images lock`" in refused.err) == (1, True)
    locked = engine.cli("images", "lock", folder, "--json").json
    assert (locked["kind"], locked["stored"]) == ("environment", True)
    deployed = engine.cli("deploy", "--frozen", folder)
    assert deployed.code == 0, deployed.out + deployed.err
    assert engine.post("doubler", {"data": [1, 2]}).json() == [2, 4]
    assert "this machine has it" in engine.cli("images", "why", folder).out
    assert engine.cli("images", "refresh", "--dry-run", folder).out == "doubler: nothing changes\n"
    pruned = engine.cli("images", "prune", "--keep-days", "0", "--json").json
    assert pruned["removed"] == []
