"""Images and locks, as `engine images` asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from modelyard.api import (
    ImageDetails,
    ImageOutlook,
    ImageSummary,
    LockReport,
    Progress,
    PruneReport,
    ServiceSpec,
    TransferReport,
    Unavailable,
)
from modelyard.client.requests import PruneRequest, PullRequest, PushRequest
from modelyard.client.transport import Transport

T = TypeVar("T")
OnProgress = Callable[[Progress[T]], None]


class ImagesClient:
    """`Client.images`. Who breaks a method off (Ctrl-C) stops the work; the next call goes on from what is there."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, registry: str = "") -> tuple[ImageSummary, ...]:
        """List the images of a registry; empty = the workspace's."""
        params = {"registry": registry}
        return self._transport.ask(tuple[ImageSummary, ...], "GET", "/v1/images", params=params)

    def show(self, name: str) -> ImageDetails:
        """Show an image with its locks, by the beginning of its key, or as `service` or `service:revision`."""
        return self._transport.ask(ImageDetails, "GET", f"/v1/images/show/{quote(name, safe='')}")

    def why(self, spec: ServiceSpec) -> ImageOutlook:
        """Say whether a deploy would find what its replicas start from, and if not, why."""
        return self._transport.ask(ImageOutlook, "POST", "/v1/images/why", body=_raw(spec))

    def lock(
        self, spec: ServiceSpec, *, platform: str = "", on_progress: OnProgress[LockReport] | None = None
    ) -> LockReport:
        """Solve what is unsolved and keep the locks; `platform` empty = the target's."""
        params = {"platform": platform}
        return self._last(
            Progress[LockReport], "/v1/images/lock", on_progress, params=params, body=_raw(spec)
        )

    def refresh(
        self,
        spec: ServiceSpec,
        *,
        platform: str = "",
        dry_run: bool = False,
        expected: str = "",
        on_progress: OnProgress[LockReport] | None = None,
    ) -> LockReport:
        """Solve again; `expected` is the fingerprint of the only result that may be kept, empty = any."""
        params = {
            "platform": platform,
            "dry_run": "true" if dry_run else "false",
            "expected": expected,
        }
        return self._last(
            Progress[LockReport], "/v1/images/refresh", on_progress, params=params, body=_raw(spec)
        )

    def pull(
        self, reference: str, *, key: str = "", on_progress: OnProgress[TransferReport] | None = None
    ) -> TransferReport:
        """Copy an environment's image into the workspace's registry; `key` empty = the image's own."""
        body = PullRequest(reference, key)
        return self._last(Progress[TransferReport], "/v1/images/pull", on_progress, body=body)

    def push(
        self, key: str, registry: str, *, on_progress: OnProgress[TransferReport] | None = None
    ) -> TransferReport:
        """Copy an environment's image of the workspace's registry to another one."""
        body = PushRequest(key, registry)
        return self._last(Progress[TransferReport], "/v1/images/push", on_progress, body=body)

    def prune(
        self,
        *,
        keep_days: float = 30.0,
        dry_run: bool = False,
        on_progress: OnProgress[PruneReport] | None = None,
    ) -> PruneReport:
        """Remove images and locks that no revision refers to and that were not used for so long."""
        body = PruneRequest(keep_days, dry_run)
        return self._last(Progress[PruneReport], "/v1/images/prune", on_progress, body=body)

    def _last(
        self,
        kind: type[Progress[T]],
        path: str,
        on_progress: OnProgress[T] | None,
        *,
        params: dict[str, str] | None = None,
        body: object,
    ) -> T:
        for line in self._transport.stream(kind, path, params=params, method="POST", body=body):
            if line is not None and line.result is not None:
                return line.result
            if line is not None and on_progress is not None:
                on_progress(line)
        raise Unavailable(
            "the engine stopped before it was done",
            place=path,
            remedy="run `engine up`, then the command again: it goes on from what is there",
        )


def _raw(spec: ServiceSpec) -> dict[str, object]:
    from modelyard.spec import to_raw

    return to_raw(spec)
