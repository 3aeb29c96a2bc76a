"""Repository names, tags and digests, as the OCI distribution specification writes them.

Pure. Everything that becomes part of a path or of the index passes here first.
"""

from __future__ import annotations

import re

from modelyard.api import UserError

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_REPOSITORY = 255


def is_digest(reference: str) -> bool:
    """Tell a digest from a tag; a tag has no colon."""
    return ":" in reference


def check_repository(repository: str) -> None:
    """Refuse what is no repository name."""
    if len(repository) > _LONGEST_REPOSITORY or not _REPOSITORY.fullmatch(repository):
        raise UserError(
            f"{repository!r} is no repository name",
            remedy="use lower-case letters, digits, '.', '_', '-' and '/', as in models/digits",
        )


def check_digest(digest: str) -> None:
    """Refuse what is no SHA-256 digest."""
    if not _DIGEST.fullmatch(digest):
        raise UserError(f"{digest!r} is no digest", remedy="write sha256: and 64 lower-case hex digits")


def check_tag(tag: str) -> None:
    """Refuse what is no tag."""
    if not _TAG.fullmatch(tag):
        raise UserError(
            f"{tag!r} is no tag",
            remedy="use at most 128 letters, digits, '_', '.' and '-', not '.' or '-' first",
        )


def check_reference(reference: str) -> None:
    """Refuse what is neither a tag nor a digest."""
    (check_digest if is_digest(reference) else check_tag)(reference)
