"""List a repository's tags, page by page."""

from __future__ import annotations

import json
import re

from modelyard.api import StoreDamaged

from modelyard_registry.distribution.places import UntrustedPlace, join, origin_of
from modelyard_registry.distribution.refusals import place_of
from modelyard_registry.distribution.scopes import reading
from modelyard_registry.distribution.session import Call, Session

PAGE_TAGS = 1000
MOST_PAGES = 1000
MOST_PAGE_BYTES = 4 * 1024 * 1024
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next"?')


async def list_tags(session: Session, repository: str) -> tuple[str, ...]:
    """Give every tag, sorted."""
    path, tags = f"{repository}/tags/list?n={PAGE_TAGS}", dict[str, None]()
    for _ in range(MOST_PAGES):
        call = Call("GET", path, reading(repository))
        answer = await session.take(call, ok=(200,), most_bytes=MOST_PAGE_BYTES)
        try:
            tags |= dict.fromkeys(read_page(answer.content))
            following = next_page(session.url(call), answer.header("link"))
        except ValueError as failure:
            raise _damaged(session, call, str(failure)) from failure
        if following is None:
            return tuple(sorted(tags))
        path = following
    raise _damaged(session, call, f"it has more than {MOST_PAGES} pages")


def read_page(content: bytes) -> tuple[str, ...]:
    """Read one page; `ValueError` says what is wrong with it."""
    try:
        tags = json.loads(content)["tags"] or ()
    except (KeyError, TypeError, RecursionError) as failure:
        raise ValueError("it has no list of tags") from failure
    if not isinstance(tags, list | tuple) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("it has no list of tags")
    return tuple(tags)


def next_page(current: str, link: str) -> str | None:
    """Read a `Link` header; None = this was the last page. Pages never lead to another server."""
    found = _NEXT.search(link)
    if not found:
        return None
    try:
        url = join(current, found[1])
        is_here = origin_of(url) == origin_of(current)
    except UntrustedPlace as failure:
        raise ValueError(f"its next page is nowhere: {failure}") from failure
    if not is_here:
        raise ValueError("its next page is on another server")
    return url


def _damaged(session: Session, call: Call, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"the registry's list of tags cannot be read: {why}",
        place=place_of(session.url(call)),
        remedy="look whether a registry is at this address",
    )
