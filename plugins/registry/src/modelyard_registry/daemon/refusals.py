"""What a Docker daemon refuses, in our words. Pure."""

from __future__ import annotations

from modelyard.api import ModelyardError, NotFound, Unavailable, UserError

from modelyard_registry.daemon.names import host_of

_NOT_FOUND = 404
_ABSENT = ("manifest unknown", "not found", "no such image", "does not exist", "name unknown")
_NO_PLATFORM = ("no matching manifest", "does not match the specified platform", "no match for platform")
_DENIED = (
    "unauthorized",
    "authentication required",
    "no basic auth",
    "access denied",
    "access forbidden",
    "denied:",
)
_FULL = ("no space left", "disk quota exceeded")


def silent(address: str, why: object) -> Unavailable:
    """Say that no daemon answers."""
    return Unavailable(
        f"no Docker daemon answers: {why}",
        place=address,
        remedy="start Docker, or set DOCKER_HOST to where it listens; this user must be allowed to use its socket",
    )


def refused(message: str, status: int, address: str) -> ModelyardError:
    """Turn what a daemon said of an image that it was asked for, given or told to remove."""
    said = message.lower()
    if any(words in said for words in _FULL):
        return Unavailable(
            "the disk of the Docker daemon is full",
            place=address,
            remedy="free space there (`docker system df` shows what takes it) and try again",
        )
    if status == _NOT_FOUND:
        return NotFound(f"Docker has no such image: {message}", place=address)
    return Unavailable(
        f"the Docker daemon failed: {message}", place=address, remedy="look at its log; try again"
    )


def unpulled(message: str, repository: str, name: str) -> ModelyardError:
    """Turn what a daemon said when it was told to pull."""
    said, login = message.lower(), " ".join(filter(None, ("docker login", host_of(repository))))
    if any(words in said for words in _NO_PLATFORM):
        return NotFound(f"the image was not built for this platform: {message}", place=name)
    if "repository does not exist" in said or any(words in said for words in _ABSENT):
        return NotFound(
            f"neither Docker nor the registry has this image: {message}",
            place=name,
            remedy=f"mend the name; if it is private, `{login}` first",
        )
    if any(words in said for words in _DENIED):
        return UserError(
            f"the registry does not let Docker read this image: {message}",
            place=name,
            remedy=f"`{login}` first",
        )
    if any(words in said for words in _FULL):
        return Unavailable(
            "the disk of the Docker daemon is full", place=name, remedy="free space there and try again"
        )
    return Unavailable(
        f"Docker cannot pull this image: {message}",
        place=name,
        remedy="look at the network and the registry; try again",
    )
