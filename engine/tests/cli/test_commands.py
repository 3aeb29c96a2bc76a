"""The command line over a client that answers from memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from modelyard.api import (
    Conflict,
    DeployFailed,
    KeyPair,
    ModelyardError,
    Operation,
    OperationKind,
    OperationState,
    Plan,
    Refusal,
    ScalingRecord,
    Secret,
    ServiceState,
    ServiceView,
    Setting,
    StepReport,
    Unavailable,
)
from modelyard.cli.failing import guarded
from modelyard.cli.root import COMMANDS, engine
from modelyard.cli.session import Session
from modelyard.client import ScoreAnswer
from modelyard.processes import find_home

DONE = Operation(
    id="op-1",
    service="digits",
    kind=OperationKind.DEPLOY,
    state=OperationState.SUCCEEDED,
    revision=2,
    steps=(
        StepReport("snapshot", OperationState.SUCCEEDED, "3 files", 0.1),
        StepReport("start", OperationState.SUCCEEDED, "1 replica", 1.2),
    ),
)
PLAN = Plan(
    "digits", 2, ("code",), ("snapshot", "start"), (Setting("request.timeout", "10s", "file", old="60s"),)
)
VIEW = ServiceView(
    name="digits",
    state=ServiceState.HEALTHY,
    url="http://127.0.0.1:8484/api/v1/service/digits/score",
    grpc_url="127.0.0.1:8484",
    revision=2,
    target="process",
    auth="key",
    replicas_wanted=1,
)


class FakeClient:
    """Says what a test told it to say, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def answer(*arguments: Any, **options: Any) -> Any:
            self.asked.append((verb, arguments, options))
            said = self.answers[verb]
            if isinstance(said, BaseException):
                raise said
            return said(*arguments, **options) if callable(said) else said

        return answer


@attrs.frozen
class Outcome:
    code: int
    out: str
    err: str
    client: FakeClient


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: str, **answers: Any) -> Outcome:
        client = FakeClient(answers)
        session = Session(find_home({"MODELYARD_HOME": str(tmp_path)}), connect=lambda _: client)
        monkeypatch.setattr(sys, "argv", ["engine", *arguments])
        code = guarded(engine, list(arguments), obj=session)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err, client)

    return call


@pytest.fixture
def project(tmp_path: Path) -> str:
    (tmp_path / "score.py").write_text("def run(data):\n    return data\n")
    (tmp_path / "engine.yaml").write_text("name: digits\ncode: {entry: score.py}\n")
    return str(tmp_path)


def _waits(operation: Operation) -> Callable[..., Operation]:
    def wait(_id: str, *, on_change: Callable[[Operation], None]) -> Operation:
        on_change(operation)
        return operation

    return wait


def test_deploy_shows_the_plan_then_one_line_for_each_step_then_where_it_serves(run: Run, project: str):
    outcome = run("deploy", project, plan=PLAN, deploy=DONE, wait=_waits(DONE), service=VIEW)
    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert "code" in next(line for line in lines if line.startswith("changes"))
    assert [line.split()[1] for line in lines if line.startswith("✓")] == ["snapshot", "start"]
    assert lines[-1].endswith(VIEW.url)


def test_deploy_as_json_is_one_document_and_nothing_else(run: Run, project: str):
    outcome = run("deploy", project, "--json", deploy=DONE, wait=_waits(DONE))
    assert json.loads(outcome.out)["id"] == "op-1"


def test_a_dry_run_only_plans(run: Run, project: str):
    outcome = run("deploy", project, "--dry-run", plan=PLAN)
    assert [verb for verb, _, _ in outcome.client.asked] == ["plan"]
    assert "60s -> 10s" in outcome.out


def test_the_first_interrupt_cancels_and_waits_for_the_outcome(run: Run, project: str):
    waits = iter([KeyboardInterrupt(), DeployFailed("cancelled", remedy="deploy again")])

    def wait(*_: object, **__: object) -> Operation:
        raise next(waits)

    outcome = run("deploy", project, plan=PLAN, deploy=DONE, wait=wait, cancel=DONE)
    assert "cancel" in [verb for verb, _, _ in outcome.client.asked]
    assert outcome.code == 2


def test_the_second_interrupt_leaves_at_once(run: Run, project: str):
    outcome = run("deploy", project, plan=PLAN, deploy=DONE, wait=KeyboardInterrupt(), cancel=DONE)
    assert outcome.code == 1
    assert "interrupted" in outcome.err


def test_a_refused_plan_ends_with_every_refusal_and_its_remedy(run: Run, project: str):
    refusal = Refusal("host", "unknown_auth", "no plugin offers auth 'token'", "use one of: key, none")
    outcome = run("plan", project, plan=attrs.evolve(PLAN, refusals=(refusal,)))
    assert outcome.code == 1
    assert "use one of: key, none" in outcome.err


def test_every_mistake_of_a_spec_is_listed_with_its_line(run: Run, tmp_path: Path):
    (tmp_path / "engine.yaml").write_text("name: Digits\ncode: {entri: score.py}\n")
    outcome = run("deploy", str(tmp_path))
    assert outcome.code == 1
    assert "engine.yaml:1" in outcome.err
    assert "did you mean" in outcome.err


@pytest.mark.parametrize(
    ("error", "code"), [(Conflict("busy"), 1), (Unavailable("gone"), 2), (DeployFailed("init() raised"), 2)]
)
def test_the_exit_code_says_who_can_mend_it(run: Run, error: ModelyardError, code: int):
    assert run("list", services=error).code == code


def test_an_error_as_json_has_code_place_and_remedy(run: Run):
    outcome = run("list", "--json", services=Conflict("busy", place="op-7", remedy="wait"))
    assert json.loads(outcome.out)["error"]["remedy"] == "wait"
    assert outcome.err == ""


KEYS = KeyPair(Secret("mk_p_" + "a" * 40), Secret("mk_s_" + "b" * 40))


def test_keys_are_masked_unless_revealed(run: Run):
    outcome = run("keys", "digits", keys=KEYS)
    assert KEYS.primary.reveal() not in outcome.out


def test_one_revealed_key_is_printed_alone(run: Run):
    assert run("keys", "digits", "--reveal", "secondary", keys=KEYS).out.strip() == KEYS.secondary.reveal()


def test_a_key_from_standard_input_reaches_the_engine_and_no_output(
    run: Run, monkeypatch: pytest.MonkeyPatch
):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("c" * 40 + "\n"))
    outcome = run("keys", "digits", "--rotate", "primary", "--value-stdin", rotate_key=KEYS)
    ((_, (_, slot, value), _),) = outcome.client.asked
    assert (slot, value.reveal()) == ("primary", "c" * 40)
    assert "c" * 40 not in outcome.out + outcome.err


def test_score_sends_a_file_as_it_is(run: Run, tmp_path: Path):
    (tmp_path / "row.json").write_bytes(b'{"data": [1]}')
    outcome = run("score", "digits", "--data", f"@{tmp_path}/row.json", score=ScoreAnswer(200, {}, b"[7]"))
    assert outcome.client.asked[0][1] == ("digits", b'{"data": [1]}')
    assert outcome.out == "[7]\n"


@pytest.mark.parametrize(("status", "code"), [(400, 1), (503, 2)])
def test_an_answer_that_is_an_error_ends_as_one(run: Run, status: int, code: int):
    outcome = run("score", "digits", "--data", "{}", score=ScoreAnswer(status, {}, b'{"code": "x"}'))
    assert outcome.code == code


def test_scaling_shows_the_numbers_of_each_decision(run: Run):
    record = ScalingRecord(
        at=1.7e9, replicas=1, wanted=3, in_flight=2.0, utilization_percent=200, reason="2 in flight"
    )
    outcome = run("scaling", "digits", scaling=(record,))
    assert "2 in flight" in outcome.out
    assert "200 %" in outcome.out


def test_scale_wants_either_replicas_or_bounds(run: Run):
    assert run("scale", "digits", "--replicas", "2", "--max", "3").code == 1
    assert run("scale", "digits").code == 1


def test_a_mistyped_command_gets_a_suggestion(run: Run):
    outcome = run("depoly")
    assert outcome.code == 1
    assert "did you mean 'deploy'?" in outcome.err


def test_no_escape_codes_reach_a_pipe(run: Run):
    outcome = run("show", "digits", service=VIEW)
    assert "\x1b" not in outcome.out


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name not in {"completion", "image", "plugins"}]
)
def test_every_command_prints_json_when_asked(name: str):
    command = engine.get_command(None, name)  # type: ignore[arg-type]  # the context is not looked at
    assert command is not None
    for one in command.commands.values() if isinstance(command, click.Group) else [command]:
        assert "--json" in [option for parameter in one.params for option in parameter.opts]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(run: Run, shell: str):
    outcome = run("completion", shell)
    assert "_ENGINE_COMPLETE" in outcome.out


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom modelyard.cli.root import engine\nfrom modelyard.cli.failing import guarded\n"
        "guarded(engine, ['--help'])\n"
        "heavy = {'rich', 'httpx', 'litestar', 'grpc', 'cattrs', 'yaml', 'attrs', 'modelyard.api'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
