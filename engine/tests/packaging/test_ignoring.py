"""Ignore rules agree with git, stay linear and are bounded."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelyard.api import SnapshotError, SnapshotLimits
from modelyard.packaging import take_snapshot
from modelyard.packaging.ignoring import compile_rules
from modelyard.packaging.wildmatch import rule_of

LIMITS = SnapshotLimits()
GIT = shutil.which("git") or pytest.skip("git is not installed", allow_module_level=True)
GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "HOME": "/nonexistent",
}
NAMES = st.sampled_from(["a", "b", "ab", "a.b", "b.log", "-", "x y", "é", "[", "a]", "!", "#a", "A1", "a\\b"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(
    ["a", "b", "ab", "*", "**", "?", "/", "/", "[ab]", "[!a]", "[a-c]", "[[:alpha:]]", "[]-a]", "[^b]", "*.log",
     ".", "\\", "\\*", "[", " ", "\\ ", "é", "[a-", "[[:bad:]]", "[--0]", "#", "!", "-", "1", "[\\]]", "***"]
)  # fmt: skip
PATTERNS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "!", "/"]),
    st.lists(PIECES, min_size=1, max_size=5).map("".join),
    st.sampled_from(["", "", "/"]),
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PATHS, min_size=1, max_size=12), st.lists(PATTERNS, max_size=6))
def test_what_is_left_out_is_what_git_ignores(paths: list[str], patterns: list[str]):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".gitignore").write_text("\n".join(patterns) + "\n", encoding="utf-8")
        for path in paths:
            _try_to_make(root, path)
        files = sorted(
            str(found.relative_to(root))
            for found in root.rglob("*")
            if found.is_file() and found.name != ".gitignore"
        )
        kept = [entry.path for entry in take_snapshot(root, LIMITS).files if entry.path != ".gitignore"]
        assert kept == sorted(set(files) - _ignored_by_git(root, files)), patterns


def _try_to_make(root: Path, path: str) -> None:
    file = root / path
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_dir():
            file.write_text("x")
    except (FileExistsError, NotADirectoryError):
        return  # the path runs through a file of an earlier one


def _ignored_by_git(root: Path, files: list[str]) -> set[str]:
    subprocess.run([GIT, "init", "-q"], cwd=root, env=GIT_ENVIRONMENT, check=True)
    answer = subprocess.run(
        [GIT, "check-ignore", "--stdin", "-z", "--no-index"],
        cwd=root,
        env=GIT_ENVIRONMENT,
        input="\0".join(files).encode(),
        capture_output=True,
        check=False,
    )
    assert answer.returncode in (0, 1), answer.stderr
    return set(answer.stdout.decode().split("\0")) - {""}


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "out"),
    [
        ("a/*", "a", True, False),
        ("a/**", "a", True, False),
        ("a/**", "a/b/c", False, True),
        ("a/**/b", "a/b", False, True),
        ("build/", "build", False, False),
        ("build/", "x/build", True, True),
        ("/build", "x/build", True, False),
        ("a b ", "a b", False, True),
        ("\\#a", "#a", False, True),
        ("#a", "#a", False, False),
        ("[[:upper:]]*", "Makefile", False, True),
        ("a[", "a[", False, False),
    ],
)
def test_a_pattern_matches_the_very_entry_it_names(pattern: str, path: str, *, folder: bool, out: bool):
    rules = compile_rules(".amlignore", pattern.encode(), LIMITS)
    assert rules.leave_out(path, is_folder=folder) is out


def test_the_last_matching_pattern_decides_across_many_patterns():
    lines = ["*.bin", *(f"other{n}" for n in range(200)), "!keep.bin", *(f"more{n}" for n in range(200))]
    rules = compile_rules(".amlignore", "\n".join(lines).encode(), LIMITS)
    assert not rules.leave_out("keep.bin", is_folder=False)
    assert rules.leave_out("drop.bin", is_folder=False)


def test_git_folders_are_left_out_at_any_depth():
    rules = compile_rules(".amlignore", b"!.git\n", LIMITS)
    assert rules.leave_out("sub/.git", is_folder=True)


def test_a_pattern_that_explodes_elsewhere_is_matched_in_linear_time():
    rules = compile_rules(".amlignore", b"*a" * 100 + b"b\n", LIMITS)
    assert not rules.leave_out("a" * 250, is_folder=False)


def test_too_many_patterns_are_refused_with_the_number():
    with pytest.raises(SnapshotError, match="1001 patterns; 1000 are allowed"):
        compile_rules(".amlignore", b"a\n" * 1001, LIMITS)


def test_an_overlong_pattern_is_refused_with_its_line():
    with pytest.raises(SnapshotError) as caught:
        compile_rules(".amlignore", b"ok\n" + b"a" * 1001, LIMITS)
    assert caught.value.place == ".amlignore:2"


@given(st.text(st.characters(codec="latin-1", exclude_characters="\n"), max_size=30))
def test_any_line_gives_rules_that_compile(line: str):
    rule_of(line)
    compile_rules(".amlignore", line.encode("latin-1"), LIMITS).leave_out("a/b", is_folder=True)
