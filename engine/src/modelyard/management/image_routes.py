"""The routes under /v1/images.

What takes long answers with JSON lines `{"value": {"message": ..., "done_bytes": ..., "total_bytes": ...,
"result": ...}}`, of which the last has the result; who hangs up stops the work, and may ask again.
"""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream

from modelyard.api import ImageDetails, ImageOutlook, ImageSummary
from modelyard.client.requests import PruneRequest, PullRequest, PushRequest, read_request
from modelyard.management.bodies import Body, spec_of
from modelyard.management.engine import ServedState
from modelyard.management.streams import MEDIA_TYPE, json_lines


@get("/v1/images")
async def list_images(state: ServedState, *, registry: FromQuery[str] = "") -> tuple[ImageSummary, ...]:
    """List the images of a registry; without a name, of the workspace's."""
    return await state.engine.images.list(registry)


@get("/v1/images/show/{name:str}")
async def show_image(name: FromPath[str], state: ServedState) -> ImageDetails:
    """Show an image with its locks, by the beginning of its key, or by service and revision."""
    return await state.engine.images.show(name)


@post("/v1/images/why", status_code=200)
async def why(data: JSONBody[Body], state: ServedState) -> ImageOutlook:
    """Say whether a deploy of this specification would find its image, and if not, why."""
    return await state.engine.images.why(spec_of(data))


@post("/v1/images/lock", status_code=200, media_type=MEDIA_TYPE, sync_to_thread=False)
def lock(data: JSONBody[Body], state: ServedState, *, platform: FromQuery[str] = "") -> Stream:
    """Solve what this specification needs and keep the locks; build nothing."""
    return Stream(
        json_lines(state.engine.images.lock(spec_of(data), platform=platform)), media_type=MEDIA_TYPE
    )


@post("/v1/images/refresh", status_code=200, media_type=MEDIA_TYPE, sync_to_thread=False)
def refresh(
    data: JSONBody[Body],
    state: ServedState,
    *,
    platform: FromQuery[str] = "",
    dry_run: FromQuery[bool] = False,
    expected: FromQuery[str] = "",
) -> Stream:
    """Solve again; `expected` is the fingerprint of the only result that may be kept."""
    lines = state.engine.images.refresh(spec_of(data), platform=platform, dry_run=dry_run, expected=expected)
    return Stream(json_lines(lines), media_type=MEDIA_TYPE)


@post("/v1/images/pull", status_code=200, media_type=MEDIA_TYPE, sync_to_thread=False)
def pull(data: JSONBody[Body], state: ServedState) -> Stream:
    """Copy an environment's image into the workspace's registry."""
    asked = read_request(PullRequest, data)
    return Stream(json_lines(state.engine.images.pull(asked.reference, key=asked.key)), media_type=MEDIA_TYPE)


@post("/v1/images/push", status_code=200, media_type=MEDIA_TYPE, sync_to_thread=False)
def push(data: JSONBody[Body], state: ServedState) -> Stream:
    """Copy an environment's image of the workspace's registry to another one."""
    asked = read_request(PushRequest, data)
    lines = state.engine.images.push(asked.key, registry=asked.registry)
    return Stream(json_lines(lines), media_type=MEDIA_TYPE)


@post("/v1/images/prune", status_code=200, media_type=MEDIA_TYPE, sync_to_thread=False)
def prune(data: JSONBody[Body], state: ServedState) -> Stream:
    """Remove images and locks that no revision refers to and that were not used for so many days."""
    asked = read_request(PruneRequest, data)
    lines = state.engine.images.prune(keep_days=asked.keep_days, dry_run=asked.dry_run)
    return Stream(json_lines(lines), media_type=MEDIA_TYPE)


IMAGE_ROUTES = [list_images, show_image, why, lock, refresh, pull, push, prune]
