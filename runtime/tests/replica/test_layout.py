"""Models laid out by hand as v1 lays them out, and what is shown of them to who looks for a missing file."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from modelyard_runtime.contract import ModelEntry
from modelyard_runtime.replica.layout import (
    MAX_MODELS,
    LocalModel,
    WrongModels,
    check_count,
    find_models,
    lay_out,
    model_dir,
    read_model,
)
from modelyard_runtime.replica.ports import free_port, why_unusable
from modelyard_runtime.replica.tree import model_tree


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "final"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(bytes(2048))
    return folder


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "service"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("before", "name", "version"), [("", "final", "0"), ("iris=", "iris", "0"), ("iris:7=", "iris", "7")]
)
def test_a_model_is_named_as_the_command_line_says_or_after_its_file(
    model: Path, before: str, name: str, version: str
):
    assert read_model(f"{before}{model}") == LocalModel(name, version, model)


def test_a_model_that_is_not_there_is_refused_with_its_path(tmp_path: Path):
    with pytest.raises(WrongModels, match=f"there is no {re.escape(str(tmp_path))}/nothing"):
        read_model(f"{tmp_path}/nothing")


def test_one_model_is_the_model_folder_and_keeps_its_own_name_in_it(tmp_path: Path, model: Path, code: Path):
    entries = lay_out(tmp_path / "app", [LocalModel("iris", "7", model)], code)
    folder = Path(model_dir(tmp_path / "app", entries))
    assert folder == tmp_path / "app" / "azureml-models" / "iris" / "7"
    assert (folder / "final" / "weights.bin").stat().st_size == 2048
    assert (tmp_path / "app" / "service").resolve() == code


def test_of_several_models_the_folder_over_all_is_the_model_folder(tmp_path: Path, model: Path, code: Path):
    models = [LocalModel(name, "1", model) for name in ("a", "b")]
    entries = lay_out(tmp_path / "app", models, code)
    assert model_dir(tmp_path / "app", entries) == str(tmp_path / "app" / "azureml-models")


def test_no_model_leaves_the_model_folder_unsaid(tmp_path: Path, code: Path):
    assert model_dir(tmp_path, lay_out(tmp_path / "app", [], code)) == ""


def test_two_models_of_one_name_and_version_are_refused(tmp_path: Path, model: Path, code: Path):
    with pytest.raises(WrongModels, match="give one another version"):
        lay_out(tmp_path / "app", [LocalModel("a", "1", model)] * 2, code)


def test_a_thousand_models_are_taken_and_one_more_is_not():
    check_count(MAX_MODELS)
    with pytest.raises(WrongModels, match="1001 models: a service has 1000 at most"):
        check_count(MAX_MODELS + 1)


def test_a_folder_laid_out_by_v1_is_found_by_name_and_number(tmp_path: Path):
    for place in ("b/10", "b/9", "a/1", "a/notes"):
        (tmp_path / "azureml-models" / place).mkdir(parents=True)
    (tmp_path / "azureml-models" / "readme.txt").write_text("not a model")
    found = [(entry.name, entry.version) for entry in find_models(tmp_path)]
    assert found == [("a", "1"), ("b", "9"), ("b", "10")]


def test_a_folder_that_is_not_laid_out_is_refused_with_what_is_missing(tmp_path: Path):
    with pytest.raises(WrongModels, match="azureml-models/<name>/<version>"):
        find_models(tmp_path)


def test_entries_say_where_the_script_finds_each(tmp_path: Path, model: Path, code: Path):
    (entry,) = lay_out(tmp_path / "app", [LocalModel("iris", "7", model)], code)
    assert entry == ModelEntry(
        name="iris", version="7", path=str(tmp_path / "app" / "azureml-models" / "iris" / "7")
    )


# --- the tree that a failed start shows ----------------------------------------------------------


def test_the_tree_shows_files_with_their_sizes(model: Path):
    assert model_tree(str(model.parent))[1:] == ["  final/", "    weights.bin  (2.0 KiB)"]


@pytest.mark.parametrize(("told", "word"), [("", "is not set"), ("/nowhere/at/all", "no such folder")])
def test_a_model_folder_that_is_not_there_is_said_to_be_so(told: str, word: str):
    assert word in model_tree(told)[-1]


def test_an_empty_model_folder_is_said_to_be_so(tmp_path: Path):
    assert model_tree(str(tmp_path))[1:] == ["  (empty)"]


def test_a_long_tree_is_cut_and_says_so(tmp_path: Path):
    for number in range(30):
        (tmp_path / f"{number:02}").write_text("")
    tree = model_tree(str(tmp_path), max_lines=10)
    assert len(tree) == 11
    assert tree[-1] == "  ... and more: only 10 lines are shown"


def test_links_that_lead_nowhere_or_back_are_shown_and_not_followed(tmp_path: Path):
    (tmp_path / "lost").symlink_to(tmp_path / "nothing")
    (tmp_path / "up").symlink_to(tmp_path)
    assert model_tree(str(tmp_path))[1:] == [
        "  lost  (a link to nothing)",
        "  up/",
        "    (a link to a folder above it)",
    ]


# --- ports ---------------------------------------------------------------------------------------


def test_a_free_port_is_usable_and_one_that_is_taken_is_not_with_the_systems_words():
    port = free_port("127.0.0.1")
    assert why_unusable("127.0.0.1", port) == ""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert why_unusable("127.0.0.1", port) == "Address already in use"


@pytest.mark.parametrize("host", ["localhost", "example.com", "1.2.3.4.5"])
def test_a_host_must_be_an_address(host: str):
    assert "must be an address" in why_unusable(host, 1)


def test_an_address_that_is_not_this_machines_is_refused_with_the_systems_words():
    assert why_unusable("192.0.2.1", 0) == "Cannot assign requested address"
