"""The engine's own image, asked for over the socket: steps as they come, the image, or why not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from modelyard.api import EngineImageOrder, Unavailable, UserError

ORDER = EngineImageOrder(base="python:3.12", wheels="/dist", registry="company", tag="edge", dry_run=True)


def test_the_order_arrives_whole_and_the_image_comes_back(served: Any) -> None:
    heard: list[str] = []
    image = served.client.build_engine_image(ORDER, on_progress=lambda line: heard.append(line.message))
    assert served.engine.asked == [("build_engine_image", ORDER)]
    assert heard == ["7 wheels"]
    assert (image.tag, image.registry, image.left_out) == ("edge", "company", ("acme: why",))


def test_what_goes_wrong_is_raised_as_what_it_is(served: Any) -> None:
    served.engine.failure = UserError("there is no wheel of modelyard", place="dist", remedy="make packaging")
    with pytest.raises(UserError, match="no wheel of modelyard") as caught:
        served.client.build_engine_image(ORDER)
    assert caught.value.remedy == "make packaging"


def test_a_stream_that_ends_without_an_image_is_no_success(served: Any) -> None:
    with pytest.raises(Unavailable, match="stopped before its image was done"):
        served.client.build_engine_image(EngineImageOrder(tag="gone"))


def test_who_stops_listening_stops_the_build(served: Any) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        served.client.build_engine_image(EngineImageOrder(tag="endless"), on_progress=stop)
    assert served.engine.abandoned.wait(10)


def test_an_unknown_wish_is_refused(served: Any) -> None:
    transport = httpx.HTTPTransport(uds=str(served.home.controller_socket))
    with httpx.Client(transport=transport, base_url="http://modelyard") as raw:
        answer = raw.post("/v1/engine-image", json={"tga": "edge"})
    assert answer.status_code == 400
    assert "tga" in answer.json()["message"]
    assert served.engine.asked == []
