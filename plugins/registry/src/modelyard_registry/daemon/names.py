"""Names of images as Docker writes them: `python`, `registry.example:5000/team/app`; and their parts.

Pure. Wider than a repository of the other registries by the host's port, and by nothing else.
"""

from __future__ import annotations

import hashlib
import re

from modelyard.api import UserError

from modelyard_registry.names import check_repository, is_digest

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_PORT = re.compile(r"[0-9]{1,5}")
_LONGEST = 255


def check_name(repository: str) -> None:
    """Refuse what Docker does not take for a name, before it becomes part of an address."""
    host, path = _split(repository)
    name, _, port = host.partition(":")
    ported = ":" not in host or _PORT.fullmatch(port)
    if (host and not (_HOST.fullmatch(name) and ported)) or len(repository) > _LONGEST:
        raise UserError(
            f"{repository!r} is no name of an image",
            remedy="write it as for `docker pull`, without the tag: python, or registry.example:5000/team/app",
        )
    check_repository(path)


def whole_name(repository: str, reference: str) -> str:
    """Join a repository and a tag or digest."""
    return f"{repository}{'@' if is_digest(reference) else ':'}{reference}"


def host_of(repository: str) -> str:
    """Say at which registry Docker would look; empty = the one it looks at by default."""
    return _split(repository)[0]


def familiar(repository: str) -> str:
    """Give the name under which the daemon lists a repository of the registry it asks by default."""
    short = repository.removeprefix("docker.io/")
    library = short.removeprefix("library/")
    return library if "/" not in library else short


def shelf_of(repository: str) -> str:
    """Give the spool's own name for what is kept there for a repository."""
    return f"artifacts/{hashlib.sha256(repository.encode()).hexdigest()}"


def _split(repository: str) -> tuple[str, str]:
    first, slash, rest = repository.partition("/")
    if slash and (":" in first or "." in first or first == "localhost"):
        return first, rest
    return "", repository
