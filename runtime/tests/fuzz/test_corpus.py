"""What fuzzing found once stays mended: every kept input is read, or refused in its codec's own words."""

from __future__ import annotations

import pytest

from runtime.tests.fuzz import corpus
from runtime.tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_a_kept_input_is_read_or_refused_in_the_codecs_own_words(target: str):
    kept = corpus.read(target)
    assert kept, f"no corpus for {target}: make fuzz FUZZ_ARGS=--keep"
    for data in kept:
        TARGETS[target](data)


def test_every_kept_file_belongs_to_a_target():
    assert {path.stem for path in corpus.FOLDER.iterdir()} == set(TARGETS)
