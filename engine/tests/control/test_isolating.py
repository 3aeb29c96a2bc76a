"""What settings alone decide about where a script runs, and how a plan tells it."""

from __future__ import annotations

from typing import Any

import pytest
from modelyard.api import CodeRef, EnvironmentSpec, MultiModelSpec, ServiceSpec, Setting
from modelyard.control import Wish, wish, with_isolation


def spec(**keys: Any) -> ServiceSpec:
    return ServiceSpec(name="digits", code=CodeRef(source="/code", entry="score.py"), **keys)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, Wish("auto")),
        ({"isolation": "thread"}, Wish("thread")),
        ({"isolation": "process"}, Wish("process")),
        ({"workers": 2}, Wish("process", "workers: 2 needs processes")),
        (
            {"multi_model": MultiModelSpec(enabled=True)},
            Wish("process", "multi_model.enabled needs processes, to give memory back"),
        ),
        (
            {"environment": EnvironmentSpec(variables={"AZUREML_EXTRA_REQUIREMENTS_TXT": "extra.txt"})},
            Wish(
                "process",
                "AZUREML_EXTRA_REQUIREMENTS_TXT brings packages that must not meet the server's",
            ),
        ),
    ],
)
def test_settings_that_leave_no_choice_make_it(keys: dict[str, Any], wanted: Wish):
    assert wish(spec(**keys)) == wanted


@pytest.mark.parametrize(
    ("value", "isolation", "why", "told"),
    [
        ("auto", "thread", "", "auto: thread"),
        (
            "auto",
            "process",
            "Python 3.8 cannot run the server",
            "auto: process (Python 3.8 cannot run the server)",
        ),
        ("auto", "", "to be found out: no network", "auto (to be found out: no network)"),
        ("process", "process", "", "process"),
    ],
)
def test_a_plan_tells_what_auto_came_to(value: str, isolation: str, why: str, told: str):
    others = Setting("workers", "1", "default")
    settings = (Setting("isolation", value, "default"), others)
    assert with_isolation(settings, isolation, why) == (Setting("isolation", told, "default"), others)
