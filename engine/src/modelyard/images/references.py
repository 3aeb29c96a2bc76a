"""What people call an image, and which registry that means. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from modelyard.api import ImageUnbuildable, Registry

DAEMON = "docker-daemon"
"""The record that knows images by the names that Docker gives them, and fetches those it lacks."""
_HOST = r"[A-Za-z0-9][A-Za-z0-9._-]*(?::[0-9]{1,5})?"
_PART = r"[a-z0-9][a-z0-9._-]*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@attrs.frozen
class Reference:
    """A name as `registry.example:5000/team/base`, with a tag, a digest or both; then the digest counts."""

    name: str
    tag: str = ""
    digest: str = ""

    @property
    def pointer(self) -> str:
        """What is asked for in the repository."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


@attrs.frozen
class Located:
    """A reference and the registry that it means."""

    registry: Registry
    repository: str
    pointer: str


def parse_reference(text: str) -> Reference:
    """Read `name[:tag][@digest]`. Raises `ImageUnbuildable` for anything else."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ImageUnbuildable(
            f"{text!r} is no image",
            place="environment.base",
            remedy="write it as name:tag or registry.example/team/name@sha256:<64 hex digits>",
        )
    return Reference(match["name"], match["tag"] or "", match["digest"] or "")


def locate(reference: Reference, registries: Mapping[str, Registry]) -> Located:
    """Say which registry a reference means.

    A name that begins with a record's (`oci-layout/bases/python`) means that record; else the record whose
    address it begins with, the longest first; else Docker's own store, which knows where Docker would look.
    """
    record, _, rest = reference.name.partition("/")
    if record in registries and rest:
        return Located(registries[record], rest, reference.pointer)
    addresses = [(_prefix(one), one) for one in registries.values()]
    for prefix, registry in sorted(addresses, key=lambda one: -len(one[0])):
        if prefix and reference.name.startswith(prefix):
            return Located(registry, reference.name.removeprefix(prefix), reference.pointer)
    if DAEMON in registries:
        return Located(registries[DAEMON], reference.name, reference.pointer)
    raise ImageUnbuildable(
        f"no registry is known that has {reference}",
        place="environment.base",
        remedy="list its server in registries.toml; `engine plugins list` shows which plugins are broken",
    )


def _prefix(registry: Registry) -> str:
    """Give what the names of a registry's images begin with."""
    any_repository = "x"
    return registry.address(any_repository).removesuffix(any_repository) if registry.name != DAEMON else ""
