"""Settings of a service that only make sense together, or not at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.spec.fields import BY_KEY
from modelyard.spec.findings import WrongError

OLDEST_IN_THREAD = (3, 11)
"""What the runtime itself needs; a test holds it equal to the runtime's own metadata."""


def clashes(values: Mapping[str, Any]) -> Iterator[tuple[str, WrongError]]:
    """Give every key that cannot stand beside the others, with what is wrong about it."""

    def value(key: str) -> Any:
        return values.get(key, BY_KEY[key].default)

    if value("isolation") == "thread":
        yield from _not_in_a_thread(value)
    if (workers := value("workers")) > (concurrent := value("request.max_concurrent")):
        yield (
            "workers",
            WrongError(
                f"{workers} workers for {concurrent} requests at once: some would never work",
                allowed=f"at most {concurrent}, or request.max_concurrent: {workers}",
            ),
        )
    if value("environment.dockerfile") is not None:
        yield from _beside_a_dockerfile(value)
    if value("environment.lock_file") is not None and value("environment.requirements"):
        yield (
            "environment.requirements",
            WrongError("stands beside a lock file, which decides alone", allowed="one of the two"),
        )
    yield from _batching(value)
    yield from _multi_model(value)


def _beside_a_dockerfile(value: Any) -> Iterator[tuple[str, WrongError]]:
    for key, instead in (("base", "its FROM"), ("docker_steps", "more of its lines")):
        if value(f"environment.{key}"):
            error = WrongError("is given together with environment.dockerfile", allowed=f"one, or {instead}")
            yield f"environment.{key}", error


def _not_in_a_thread(value: Any) -> Iterator[tuple[str, WrongError]]:
    remedy = "isolation: process, or auto"
    if value("workers") > 1:
        yield "workers", WrongError("more than one worker does not fit isolation: thread", allowed=remedy)
    if value("multi_model.enabled"):
        yield (
            "multi_model.enabled",
            WrongError("models cannot be unloaded under isolation: thread", allowed=remedy),
        )
    python = value("environment.python")
    if python is not None and tuple(map(int, python.split("."))) < OLDEST_IN_THREAD:
        oldest = ".".join(map(str, OLDEST_IN_THREAD))
        yield (
            "environment.python",
            WrongError(
                f"Python {python} cannot run the server, which isolation: thread shares",
                allowed=f"{oldest} or newer, or {remedy}",
            ),
        )


def _batching(value: Any) -> Iterator[tuple[str, WrongError]]:
    wait, timeout = value("batching.max_wait"), value("request.timeout")
    if value("batching.max_size") > 1 and wait >= timeout:
        shown = BY_KEY["request.timeout"].kind.show(timeout)
        yield (
            "batching.max_wait",
            WrongError(f"is not less than request.timeout ({shown})", allowed=f"less than {shown}"),
        )


def _multi_model(value: Any) -> Iterator[tuple[str, WrongError]]:
    if not value("multi_model.enabled"):
        if value("multi_model.memory") is not None:
            yield (
                "multi_model.memory",
                WrongError("has no effect alone", allowed="multi_model: {enabled: true, memory: ...}"),
            )
        return
    if not value("models"):
        yield "multi_model.enabled", WrongError("there is no model to serve", allowed="models: [...]")
    budget, limit = value("multi_model.memory"), value("resources.limits.memory")
    if budget is not None and limit is not None and budget >= limit:
        shown = BY_KEY["resources.limits.memory"].kind.show(limit)
        yield (
            "multi_model.memory",
            WrongError(
                f"would never be reached: a replica is ended at {shown}", allowed=f"less than {shown}"
            ),
        )
