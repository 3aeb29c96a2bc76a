"""Locks: what a specification became, every package with version and hashes. Pure.

A lock is hashed parsed, never as text: files of lock tools hold command lines, addresses and times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from modelyard.environments.interpreters import Interpreter
from modelyard.environments.keys import KEY_VERSION, base, digest

_PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(\[[^\]]*\])?"
    r"(?P<pin>==[A-Za-z0-9.!+_-]+| @ [^\s;]+)"
    r"(\s*;\s*(?P<marker>.+?))?"
)
_HASH = re.compile(r"sha(256|384|512):[0-9a-f]{64,128}")


class LockDamaged(ValueError):
    """The text is not a lock with a hash for every package."""


@attrs.frozen
class Lock:
    """A solved environment. `text` is canonical and is what uv installs; the runtime is not in it."""

    spec_key: str
    lock_key: str
    text: str
    packages: tuple[str, ...]


def make_lock(text: str, *, spec_key: str, interpreter: Interpreter, runtime_digest: str) -> Lock:
    """Make a lock from uv's output or from a stored record; raises `LockDamaged`."""
    pins = parse_pins(text)
    key = digest(
        {
            "kind": "lock",
            "version": KEY_VERSION,
            "base": base(interpreter),
            "docker_steps": [],
            "runtime": runtime_digest,
            "pins": pins,
        }
    )
    return Lock(spec_key=spec_key, lock_key=key, text=render(pins), packages=tuple(sorted(pins)))


def lock_of(text: str) -> Lock:
    """Make a lock of a text alone, to lay it out; it has no keys. Raises `LockDamaged`."""
    pins = parse_pins(text)
    return Lock(spec_key="", lock_key="", text=render(pins), packages=tuple(sorted(pins)))


def parse_pins(text: str) -> dict[str, list[str]]:
    """Read `name==version [; marker]` -> sorted hashes; comments and options of the tool fall away."""
    pins: dict[str, list[str]] = {}
    for line in logical_lines(text):
        requirement, *hashes = re.split(r"\s+--hash[=\s]", line)
        match = _PIN.fullmatch(requirement.strip())
        hashes = sorted(one.strip() for one in hashes)
        if match is None or not hashes or not all(_HASH.fullmatch(one) for one in hashes):
            raise LockDamaged(f"not a hashed pin: {line[:120]!r}")
        pins[_written(match)] = hashes
    return pins


def render(pins: Mapping[str, list[str]]) -> str:
    """Write pins in their one canonical form."""
    return "".join(
        " \\\n".join([pin, *(f"    --hash={one}" for one in pins[pin])]) + "\n" for pin in sorted(pins)
    )


def without(text: str, name: str) -> str:
    """Drop one package from a lock tool's output."""
    lines = (line for line in logical_lines(text) if not re.match(rf"{re.escape(name)}\b(?!-)", line))
    return "\n".join(lines)


def only(text: str, name: str) -> str:
    """Keep one package of a canonical lock; empty when it is not in it."""
    pins = parse_pins(text)
    return render(
        {pin: hashes for pin, hashes in pins.items() if re.match(rf"{re.escape(name)}(==| @ )", pin)}
    )


def logical_lines(text: str) -> list[str]:
    """Give the lines that say something, those joined that a backslash joins."""
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def _written(match: re.Match[str]) -> str:
    marker = match["marker"]
    return f"{match['name']}{match['pin']}" + (f" ; {marker}" if marker else "")
