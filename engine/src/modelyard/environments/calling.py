"""Call uv for a package index: what it says is passed on without anybody's passwords and tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelyard.api import EnvironmentUnsolvable, Unavailable
from modelyard.environments.keys import public_address
from modelyard.environments.uv import OPTIONS, uv_binary, uv_environment
from modelyard.processes import Completed, run

_INDEXES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_PASSWORD = re.compile(r"UV_INDEX_\w+_(PASSWORD|USERNAME)")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_OPEN_PATHS = ("", "/simple")
"""Where an index is for everybody; elsewhere a path may hold a token."""
_MASK = "***"
_WRONG_CREDENTIALS = ("401 unauthorized", "403 forbidden")
_SHORTEST = 4
"""What is shorter is no secret, and would take letters out of words."""


async def run_uv(
    arguments: Sequence[str], *, cwd: Path, timeout_seconds: float, on_line: Callable[[str], None] | None
) -> Completed:
    """Run uv to its end, with the user's own settings. Raises `Unavailable` when it takes too long."""
    public = _Public(os.environ)
    try:
        done = await run(
            [uv_binary(), *OPTIONS, *arguments],
            cwd=cwd,
            env=uv_environment(),
            timeout_seconds=timeout_seconds,
            on_line=None if on_line is None else lambda line: on_line(public(line)),
        )
    except Unavailable as error:
        raise Unavailable(public(error.message), place=error.place, remedy=error.remedy) from None
    return Completed(done.status, public(done.output_tail))


def wrong_credentials(output: str) -> EnvironmentUnsolvable | None:
    """Tell an index that refuses whoever asks, where uv's words speak of one."""
    lower = output.lower()
    status = next((one for one in _WRONG_CREDENTIALS if one in lower), None)
    if status is None:
        return None
    return EnvironmentUnsolvable(
        f"the package index wants other credentials ({status})",
        place="environment.requirements",
        remedy="set UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD, or a line for its host in ~/.netrc,"
        " where the engine was started",
    )


class _Public:
    """Takes what the settings name as secret, and what looks like it, out of a text."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._secrets = sorted(_secrets(environ), key=len, reverse=True)
        self._prefixes = sorted(_prefixes(environ), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        text = public_address(text)
        for host, path in self._prefixes:
            text = text.replace(f"{host}{path}", f"{host}/{_MASK}")
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text


def _secrets(environ: Mapping[str, str]) -> set[str]:
    named = {value for name, value in environ.items() if _PASSWORD.fullmatch(name) and "PASSWORD" in name}
    for address in _addresses(environ, (*_INDEXES, *_PROXIES, *map(str.lower, _PROXIES))):
        user, _, password = urlsplit(address).netloc.rpartition("@")[0].partition(":")
        # a user alone is a token
        named |= {password or user, unquote(password or user)}
    return {one for one in named if len(one) >= _SHORTEST}


def _prefixes(environ: Mapping[str, str]) -> set[tuple[str, str]]:
    found = set()
    for address in _addresses(environ, _INDEXES):
        parts = urlsplit(address)
        path = parts.path.rstrip("/").removesuffix("/simple")
        if path not in _OPEN_PATHS and parts.scheme in ("http", "https"):
            found.add((parts.netloc.rpartition("@")[2], path))
    return found


def _addresses(environ: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """List the addresses of variables; an index may have a name before its address: `company=https://...`."""
    texts = (part for name in names for part in re.split(r"[\s,]+", environ.get(name, "")))
    return [re.sub(r"^[\w.-]+=", "", text) for text in texts if "://" in text]
