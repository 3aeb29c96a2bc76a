"""The filter that makes Envoy Python is the one pyvoy's own builder would write."""

from __future__ import annotations

import json
from typing import Any

from modelyard_runtime.server.envoy import embedding
from modelyard_runtime.server.envoy.bootstrap import APPLICATION
from pyvoy import PyvoyServer


def as_pyvoy_writes_it() -> dict[str, Any]:
    config = PyvoyServer(APPLICATION, lifespan=True).get_envoy_config()
    (listener,) = config["static_resources"]["listeners"]
    (filters,) = (one["typed_config"]["http_filters"] for one in listener["filter_chains"][0]["filters"])
    (found,) = filters
    return dict(found)


def told(one: dict[str, Any]) -> Any:
    return json.loads(one["typed_config"]["filter_config"]["value"])


def test_the_filter_says_what_pyvoy_would_say_but_that_others_may_follow_it():
    ours, theirs = embedding.pyvoy(APPLICATION), as_pyvoy_writes_it()
    assert told(ours) == told(theirs)
    for one in (ours, theirs):
        del one["typed_config"]["filter_config"]["value"]
    assert theirs["typed_config"].pop("terminal_filter") is True
    assert ours["typed_config"].pop("terminal_filter") is False
    assert ours == theirs
