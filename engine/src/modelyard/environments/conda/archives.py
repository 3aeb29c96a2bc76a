"""What an archive of a package may hold: nothing that would lie, or lead, outside the prefix. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import attrs

_COMMAND = re.compile(r"[\w.+-]+")


@attrs.frozen
class Member:
    """An entry of an archive, its name without `./`; `target` is where a link leads, None for files and folders."""

    name: str
    target: str | None = None
    hard: bool = False


def wrong_with(members: Iterable[Member], info: Mapping[str, bytes]) -> str | None:
    """Say what is wrong with a package, by its entries and by its own lists of them; None = nothing."""
    seen: set[str] = set()
    for member in members:
        if member.name.startswith("info/") and member.name in seen:
            return f"{member.name} stands twice in it"
        seen.add(member.name)
        if _leaves(member.name):
            return f"{member.name!r} would lie outside the environment"
        if member.target is not None and _leads_out(member):
            return f"{member.name} leads to {member.target!r}, outside the environment"
    try:
        named = [*_paths(info), *_commands(info)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its lists of files cannot be read"
    return next((f"{one!r} would lie outside the environment" for one in named if _leaves(one)), None)


def below_links(packages: Mapping[str, Iterable[Member]]) -> str | None:
    """Say which file would be written through a link that a package brings; None = no one.

    Links are looked at one by one: that holds only where no folder on the way is a link itself.
    """
    members = [(name, member) for name, held in packages.items() for member in held]
    links = {member.name for _, member in members if member.target is not None and not member.hard}
    for name, member in members:
        for above in PurePosixPath(member.name).parents:
            if str(above) in links:
                return f"{name} has {member.name}, but {above} is a link"
    return None


def _leaves(name: str) -> bool:
    return name.startswith("/") or ".." in PurePosixPath(name).parts or "\0" in name or not name


def _leads_out(member: Member) -> bool:
    """A link goes up first and then down, never up again: what it meets on the way may be a link too."""
    target = PurePosixPath(member.target or ".")
    if member.hard:
        return _leaves(str(target))
    up = 0
    while up < len(target.parts) and target.parts[up] == "..":
        up += 1
    deep = len(PurePosixPath(member.name).parent.parts)
    return target.is_absolute() or up > deep or ".." in target.parts[up:]


def _paths(info: Mapping[str, bytes]) -> list[str]:
    listed = info.get("info/files", b"").decode().splitlines()
    if (paths := info.get("info/paths.json")) is not None:
        listed += [str(one["_path"]) for one in json.loads(paths)["paths"]]
    return [one for one in listed if one]


def _commands(info: Mapping[str, bytes]) -> list[str]:
    """Give commands that a package wants to have as scripts; one that is no plain name counts as outside."""
    link = json.loads(info.get("info/link.json", b"{}"))
    points = (link.get("noarch") or {}).get("entry_points") or []
    names = [str(one).partition("=")[0].strip() for one in points]
    return [one if _COMMAND.fullmatch(one) else f"/{one}" for one in names]
