"""`engine images` over a client that answers from memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.shell_completion import ShellComplete
from modelyard.api import (
    Conflict,
    ImageDetails,
    ImageEnvironment,
    ImageInputs,
    ImageKind,
    ImageLayer,
    ImageOutlook,
    ImagePackage,
    ImageSummary,
    LockedEnvironment,
    LockReport,
    PackageChange,
    PluginRecord,
    PluginState,
    Progress,
    Pruned,
    PruneReport,
    TransferReport,
    Unavailable,
)
from modelyard.cli import watching
from modelyard.cli.failing import guarded
from modelyard.cli.root import engine
from modelyard.cli.session import Session
from modelyard.processes import find_home

KEY = "0123456789ab" + "c" * 52
ENVIRONMENT = ImageSummary(
    ImageKind.ENVIRONMENT, "oci-layout", "images/environments", KEY, "sha256:e", "linux/amd64", "python:3.11",
    ("3.11.9",), 12, 5 * 1024**2, ("digits:1", "digits:2"),
)  # fmt: skip
SERVICE = attrs.evolve(
    ENVIRONMENT, kind=ImageKind.SERVICE, repository="images/services/digits", tag="2", packages=None
)
LOCK = "numpy==2.1.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"
DETAILS = ImageDetails(
    summary=ENVIRONMENT,
    address="registry.example/images/environments@sha256:e",
    key=KEY,
    inputs=ImageInputs("linux/amd64", "python:3.11", "sha256:b", "3.11", ("numpy",), ("RUN true",)),
    environments=(ImageEnvironment("/opt/modelyard/env", "3.11.9", True, 1, LOCK),),
    layers=(ImageLayer("base", "sha256:l", 2048, "tar"), ImageLayer("environment", "sha256:m", 10, "tar")),
)
REPORT = LockReport(
    service="digits",
    kind="image",
    platform="linux/arm64",
    lock_key=KEY,
    isolation="thread",
    environments=(LockedEnvironment("env", "3.11.9", ("numpy==2.1.0",)),),
    changes=(
        PackageChange("env", "numpy", "2.0.0", "2.1.0"),
        PackageChange("env", "scipy", "", "1.2"),
        PackageChange("env", "six", "1.1", ""),
    ),
    was_stored=True,
    stored=False,
    fingerprint="the-one-shown",
)
MOVED = TransferReport(KEY, "sha256:e", "a/b", "company/images/environments:" + KEY, 4096, 1024)
PRUNED = PruneReport(
    (Pruned("image", "images/environments:k", "nothing refers to it, for 40 days", 40.0),),
    (Pruned("lock", "environments:k", "digits:1 use it"),),
    3 * 1024**2,
    True,
)


class Images:
    """Says what a test told it to say, and remembers what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def answer(*arguments: Any, **options: Any) -> Any:
            tell = options.pop("on_progress", None)
            self.asked.append((verb, arguments, options))
            said = self.answers[verb]
            if isinstance(said, BaseException):
                raise said
            if tell is not None:
                tell(Progress("at work", 512, 1024))
            return said

        return answer


@attrs.frozen
class FakeClient:
    images: Images
    offers: tuple[str, ...] = ()

    def plugins(self) -> tuple[PluginRecord, ...]:
        return (PluginRecord("p", "d", "1", 1, PluginState.ACTIVE, offers=self.offers),)


@attrs.frozen
class Outcome:
    code: int
    out: str
    err: str
    asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]]


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str, **answers: Any) -> Outcome:
        images = Images(answers)
        home = find_home({"MODELYARD_HOME": str(tmp_path)})
        session = Session(home, connect=lambda _: FakeClient(images))  # type: ignore[arg-type,return-value]
        monkeypatch.setattr(sys, "argv", ["engine", "images", *arguments])
        code = guarded(engine, ["images", *arguments], obj=session)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err, images.asked)

    return call


@pytest.fixture
def project(tmp_path: Path) -> str:
    (tmp_path / "score.py").write_text("def run(data):\n    return data\n")
    (tmp_path / "engine.yaml").write_text("name: digits\ncode: {entry: score.py}\n")
    return str(tmp_path)


def test_a_list_has_keys_of_twelve_digits_and_services_with_their_revision(run: Run):
    lines = run("list", list=(ENVIRONMENT, SERVICE)).out.splitlines()
    assert lines[1].split()[:2] == [KEY[:12], "environment"]
    assert lines[1].endswith("digits:1, digits:2")
    assert lines[2].split()[:2] == ["digits:2", "service"]


def test_a_registry_may_be_named_and_may_be_empty(run: Run):
    outcome = run("list", "--registry", "company", list=())
    assert outcome.asked == [("list", ("company",), {})]
    assert outcome.out == "there are no images\n"


def test_an_image_is_shown_with_its_address_inputs_environments_and_layers(run: Run):
    out = run("show", KEY[:12], show=DETAILS).out
    assert "registry.example/images/environments@sha256:e" in out
    assert "python:3.11 (sha256:b)" in out
    assert "/opt/modelyard/env" in out
    assert [line.split()[0] for line in out.splitlines()[-4:-2]] == ["base", "environment"]
    assert out.splitlines()[-1] == "no vulnerability is known of its Python packages"


def test_the_packages_of_an_images_bill_are_counted_by_kind(run: Run):
    packages = tuple(ImagePackage(kind, "x", "1", f"pkg:{kind}/x@1") for kind in ("pypi", "deb", "deb"))
    lines = run("show", KEY[:12], show=attrs.evolve(DETAILS, packages=packages)).out.splitlines()
    assert ["deb", "2"] in [line.split() for line in lines]


def test_what_is_known_against_an_image_is_shown_and_what_nobody_knows_is_said(run: Run):
    flawed = attrs.evolve(
        DETAILS,
        vulnerabilities=("numpy==1.0: CVE-1: it leaks; 1.1 mends it",),
        vulnerabilities_unknown="the newest entry of the database is 99 days old",
    )
    lines = run("show", KEY[:12], show=flawed).out.splitlines()[-2:]
    assert lines == [
        "vulnerable: numpy==1.0: CVE-1: it leaks; 1.1 mends it",
        "vulnerabilities are unknown: the newest entry of the database is 99 days old",
    ]


def test_conda_packages_are_an_environment_too(run: Run):
    conda = ImageEnvironment("/opt/modelyard/conda", "", serving=False, packages=3, lock="{}\n")
    shown = attrs.evolve(DETAILS, environments=(conda, *DETAILS.environments))
    assert "what is on top" in run("show", KEY[:12], show=shown).out
    assert "# /opt/modelyard/conda, of conda" in run("show", KEY[:12], "--lock", show=shown).out


def test_a_lock_is_printed_as_pip_reads_it(run: Run):
    assert run("show", KEY, "--lock", show=DETAILS).out == f"# /opt/modelyard/env, Python 3.11.9\n{LOCK}"


def test_a_lock_that_is_not_kept_is_an_error_with_a_remedy(run: Run):
    inside = attrs.evolve(DETAILS.environments[0], lock="", packages=None)
    outcome = run("show", KEY, "--lock", show=attrs.evolve(DETAILS, environments=(inside,)))
    assert (outcome.code, outcome.out) == (1, "")
    assert "remedy: deploy a service that uses it" in outcome.err


@pytest.mark.parametrize(
    ("outlook", "words"),
    [
        (
            ImageOutlook("d", "image", KEY, True, "company", ""),
            f"d would find its image {KEY[:12]}: company has it",
        ),
        (
            ImageOutlook("d", "image", KEY, False, "", "requirements: +scipy"),
            f"d would not find its image {KEY[:12]}: requirements: +scipy",
        ),
        (
            ImageOutlook("d", "environment", "", False, "", "no answer"),
            "whether d would find its environment is not known: no answer",
        ),
    ],
)
def test_why_is_one_sentence(run: Run, project: str, outlook: ImageOutlook, words: str):
    outcome = run("why", project, why=outlook)
    assert (outcome.code, outcome.out) == (0, f"{words}\n")


def test_progress_goes_to_stderr_in_bytes(run: Run):
    outcome = run("push", KEY[:12], "company", push=MOVED)
    assert outcome.err == "at work: 512 B of 1.0 KiB\n"
    assert outcome.out.splitlines()[0] == f"{MOVED.target} is sha256:e"
    assert "1.0 KiB of 4.0 KiB were sent" in outcome.out


def test_a_pull_may_name_the_key(run: Run):
    outcome = run("pull", "company/images/environments:x", "--as", KEY, pull=MOVED)
    assert outcome.asked == [("pull", ("company/images/environments:x",), {"key": KEY})]


def test_a_lock_prints_its_key_and_its_packages(run: Run, project: str):
    outcome = run("lock", project, "--platform", "linux/arm64", lock=REPORT)
    assert outcome.asked[0][2] == {"platform": "linux/arm64"}
    assert KEY in outcome.out
    assert "  numpy==2.1.0" in outcome.out


def test_a_refresh_shows_the_changes_and_keeps_just_what_was_shown(run: Run, project: str):
    outcome = run("refresh", project, "--yes", refresh=REPORT)
    assert outcome.out.splitlines()[:3] == ["~ numpy 2.0.0 -> 2.1.0", "+ scipy 1.2", "- six 1.1"]
    assert [options for _, _, options in outcome.asked] == [
        {"platform": "", "dry_run": True},
        {"platform": "", "expected": "the-one-shown"},
    ]


@pytest.mark.parametrize(("answer", "calls"), [("y\n", 2), ("n\n", 1)])
def test_a_refresh_asks_first(
    run: Run, project: str, monkeypatch: pytest.MonkeyPatch, answer: str, calls: int
):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert len(run("refresh", project, refresh=REPORT).asked) == calls


@pytest.mark.parametrize("options", [("--dry-run",), ("--dry-run", "--json")])
def test_a_dry_refresh_keeps_nothing(run: Run, project: str, options: tuple[str, ...]):
    outcome = run("refresh", project, *options, refresh=REPORT)
    assert [options["dry_run"] for _, _, options in outcome.asked] == [True]


def test_a_refresh_that_changes_nothing_asks_nothing(run: Run, project: str):
    same = attrs.evolve(REPORT, changes=(), stored=True)
    outcome = run("refresh", project, refresh=same)
    assert (len(outcome.asked), outcome.out) == (1, "digits: nothing changes\n")


def test_a_refresh_as_json_does_not_ask(run: Run, project: str):
    outcome = run("refresh", project, "--json", refresh=REPORT)
    assert (outcome.code, outcome.asked) == (1, [])


def test_a_prune_says_what_would_go_and_what_that_frees(run: Run):
    outcome = run("prune", "--dry-run", "--keep-days", "7", prune=PRUNED)
    assert outcome.asked == [("prune", (), {"keep_days": 7.0, "dry_run": True})]
    assert outcome.out.splitlines()[-1] == "1 would be removed, 3.0 MiB of images; 1 stay"


JSON: dict[str, tuple[tuple[str, ...], Any]] = {
    "list": ((), (ENVIRONMENT,)),
    "show": ((KEY,), DETAILS),
    "pull": (("a/b:c",), MOVED),
    "push": ((KEY, "company"), MOVED),
    "prune": ((), PRUNED),
}


@pytest.mark.parametrize("verb", JSON)
def test_as_json_there_is_one_document_and_nothing_else(run: Run, verb: str):
    arguments, answer = JSON[verb]
    outcome = run(verb, *arguments, "--json", **{verb: answer})
    assert (outcome.code, outcome.err) == (0, "")
    assert isinstance(json.loads(outcome.out), dict)


@pytest.mark.parametrize(
    ("error", "code"), [(Conflict("changed", remedy="again"), 1), (Unavailable("gone"), 2)]
)
def test_the_exit_code_says_who_can_mend_it(run: Run, error: Exception, code: int):
    assert run("pull", "a/b:c", pull=error).code == code


def test_an_interrupt_ends_quietly(run: Run):
    outcome = run("pull", "a/b:c", pull=KeyboardInterrupt())
    assert (outcome.code, outcome.err.strip()) == (1, "interrupted")


def test_what_takes_a_second_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    import threading

    said = threading.Event()
    monkeypatch.setattr(watching, "PATIENCE_SECONDS", 0.001)
    monkeypatch.setattr(watching, "note", lambda _: said.set())
    with watching.patience("reading", quiet=False):
        assert said.wait(10)
    with watching.patience("reading", quiet=True):
        pass
    assert capsys.readouterr().err == ""


def test_a_count_of_bytes_is_told_ten_times_in_a_pipe(capsys: pytest.CaptureFixture[str]):
    with watching.watching(quiet=False) as show:
        for done in range(1001):
            show(Progress("copying", done, 1000))
    assert len(capsys.readouterr().err.splitlines()) == 11


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (["images", "show"], "01", [KEY[:12]]),
        (["images", "show"], "dig", ["digits:2"]),
        (["images", "push", KEY], "", ["company", "oci-layout"]),
        (["images", "list", "--registry"], "com", ["company"]),
    ],
)
def test_names_are_completed(tmp_path: Path, words: list[str], incomplete: str, expected: list[str]):
    offers = ("registries:company", "registries:oci-layout", "targets:process")
    client = FakeClient(Images({"list": (ENVIRONMENT, SERVICE)}), offers)
    home = find_home({"MODELYARD_HOME": str(tmp_path)})
    session = Session(home, connect=lambda _: client)  # type: ignore[arg-type,return-value]
    completion = ShellComplete(engine, {"obj": session}, "engine", "_ENGINE_COMPLETE")
    assert [one.value for one in completion.get_completions(words, incomplete)] == expected
