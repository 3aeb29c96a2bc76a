"""The builder `docker`: docker steps on a base, or a whole Dockerfile, built by this machine's Docker daemon.

The daemon is a workshop and nothing else: the base goes in as a stream, the image comes out as one and goes to
the workspace's registry, and what the build had in the daemon is removed, whatever became of it. The build's
cache and the base stay, as Docker keeps them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from modelyard.api import (
    BuildOrder,
    BuildSite,
    Descriptor,
    ImageUnbuildable,
    Maturity,
    ModelyardError,
    Refusal,
    SystemError_,
    Unavailable,
)
from modelyard.containers import Daemon
from modelyard.containers.building import (
    Build,
    BuildDaemon,
    Failure,
    Log,
    Stop,
    build_classic,
    is_full,
)
from modelyard.images.billing import bill_steps, let_be_found
from modelyard.images.dockerfiles.bases import BASES, Present, bring_base
from modelyard.images.dockerfiles.buildx import BuildKitOrder, build_with_buildkit, find_docker
from modelyard.images.dockerfiles.contexts import DOCKERFILE, lay_out_context, pack_context
from modelyard.images.dockerfiles.publishing import publish
from modelyard.images.dockerfiles.remains import Remains, begin, sweep
from modelyard.images.dockerfiles.steps import Step, read_dockerfile, read_steps, write_dockerfile
from modelyard.images.dockerfiles.waiting import Teller, finish
from modelyard.images.images import Base, Repository
from modelyard.processes import disk_errors, write_atomic

log = logging.getLogger(__name__)


@attrs.frozen
class DockerImageBuilder:
    """Builds with the daemon that `environ` names.

    Folders of the cache: `notes` for what builds leave there, `looks` for what was found in images.
    """

    notes: Path
    environ: Mapping[str, str] = attrs.field(repr=False)
    looks: Path
    name: str = attrs.field(default="docker", init=False)
    maturity: Maturity = attrs.field(default=Maturity.ALPHA, init=False)

    def can_build(self, order: BuildOrder) -> Refusal | None:
        """Take orders of steps or a Dockerfile, and none of packages."""
        if order.conda or order.pips:
            return _refusal(
                "packages", "it lays out no packages", "another builder does that above its image"
            )
        if not order.docker_steps and not order.dockerfile:
            return _refusal(
                "no_steps", "there are no docker steps and no Dockerfile", "another builder takes it"
            )
        if order.docker_steps and order.dockerfile:
            return _refusal(
                "steps_and_dockerfile",
                "there are docker steps and a Dockerfile",
                "write the steps into the Dockerfile",
            )
        return None

    async def build(self, order: BuildOrder, site: BuildSite) -> Descriptor:
        """Build, push, and leave nothing but Docker's own cache in the daemon.

        Raises `ImageUnbuildable` for a step that is wrong or fails, `SnapshotError` for a context that cannot be
        packed, `Unavailable` when there is no daemon, `SystemError_` when its disk is full.
        """
        daemon, docker = BuildDaemon(self.environ), find_docker(self.environ)
        _check_heredocs(_read(order), docker)
        await asyncio.to_thread(daemon.ping)
        await asyncio.to_thread(sweep, self.notes, daemon)
        present = None if order.dockerfile else await self._bring_base(order, site, daemon.address)
        text = order.dockerfile or write_dockerfile(present.name if present else "", order.docker_steps)
        with begin(self.notes) as remains:
            # BuildKit may finish an image after its command was killed: then the next build looks again
            ended = not docker
            try:
                work = _Work(order, site, daemon, docker, remains, self.environ)
                done = await work.with_buildkit(text) if docker else await work.classic(text)
                ended = True
                if done.failure:
                    raise unbuildable(done.failure, order, daemon)
                base = present.base if present else None
                manifest = await publish(remains.image, base, order, site, daemon)
            finally:
                await asyncio.to_thread(_clear, remains, daemon, forget=ended)
        return await self._bill(manifest, base, order, site)

    async def _bill(
        self, manifest: Descriptor, base: Base | None, order: BuildOrder, site: BuildSite
    ) -> Descriptor:
        """Say what the image is made of, and only then let it be found."""
        await bill_steps(order, manifest, base, site, looks=self.looks)
        return await let_be_found(manifest, Repository(site.workspace, order.repository), order.tag)

    async def _bring_base(self, order: BuildOrder, site: BuildSite, address: str) -> Present:
        with contextlib.closing(Daemon(address)) as daemon:
            return await bring_base(order, site, daemon)


@attrs.frozen
class _Work:
    order: BuildOrder
    site: BuildSite
    daemon: BuildDaemon
    docker: str
    remains: Remains
    environ: Mapping[str, str] = attrs.field(repr=False)

    async def classic(self, text: str) -> Log:
        """Build through the daemon's API."""
        context, tell = self.site.folder / "context.tar", Teller(self.site.on_line)
        platform = self.order.platform if self.order.dockerfile else None
        build = Build(context, DOCKERFILE, self.remains.image, platform)

        def work(stop: Stop) -> Log:
            pack_context(self.order.context, text, context)
            return build_classic(self.daemon, build, stop=stop, on_line=tell, on_container=self.remains.note)

        try:
            return await finish(work)
        finally:
            context.unlink(missing_ok=True)

    async def with_buildkit(self, text: str) -> Log:
        """Build by `docker buildx`."""
        with (
            disk_errors(self.site.folder),
            TemporaryDirectory(dir=self.site.folder, prefix="build-") as inner,
        ):
            folder = Path(inner)
            order = BuildKitOrder(
                folder / "context", folder / "Dockerfile", self.remains.image, self.order.platform
            )
            await asyncio.to_thread(lay_out_context, self.order.context, order.context)
            write_atomic(order.dockerfile, text.encode())
            environ = {**self.environ, "DOCKER_HOST": self.daemon.address}
            return await build_with_buildkit(self.docker, order, environ, self.site.on_line)


def _read(order: BuildOrder) -> tuple[Step, ...]:
    return read_dockerfile(order.dockerfile) if order.dockerfile else read_steps(order.docker_steps)


def _check_heredocs(steps: tuple[Step, ...], docker: str) -> None:
    for step in steps:
        if step.has_heredoc and not docker:
            raise ImageUnbuildable(
                "a text inside a step (<<) is BuildKit's, which is not installed here",
                place=f"line {step.line}: {step.name}",
                remedy="install the plugin `docker buildx`, or write the step without it",
            )


def _clear(remains: Remains, daemon: BuildDaemon, *, forget: bool) -> None:
    try:
        remains.remove(daemon)
        if forget:
            remains.forget()
    except ModelyardError as failure:
        log.warning("what a build has in Docker is removed by the next build: %s", failure)


def unbuildable(failure: Failure, order: BuildOrder, daemon: BuildDaemon) -> ModelyardError:
    """Say why a build failed: the owner of the steps, or of the machine, can mend it. Pure."""
    what = f"step {failure.step}" if failure.step else "the build"
    if failure.status is None and is_full(failure.message):
        return SystemError_(
            f"{what} failed: Docker's disk is full",
            place=daemon.address,
            remedy="free some space there (`docker system df` shows what takes it) and try again",
        )
    if BASES in failure.message and "sha256" not in failure.message and failure.status is None:
        return Unavailable(
            "the base image was removed from Docker while it was built upon",
            place=daemon.address,
            remedy="try again: it is brought there anew",
        )
    how = f"failed with exit status {failure.status}" if failure.status else f"failed: {failure.message}"
    said = "".join(f"\n  {line}" for line in failure.tail)
    return ImageUnbuildable(
        f"{what} {how}{'; the last it said:' if said else ''}{said}",
        place="Dockerfile" if order.dockerfile else "environment.docker_steps",
        remedy="mend this step, or what it needs, and run the command again",
    )


def _refusal(code: str, message: str, remedy: str) -> Refusal:
    return Refusal("docker", code, message, remedy=remedy)
