"""What a token must allow, in the words of the distribution specification. Pure."""

from __future__ import annotations


def reading(repository: str) -> frozenset[str]:
    """Read manifests, blobs and tags."""
    return frozenset({f"repository:{repository}:pull"})


def writing(repository: str, *, mounting: str = "") -> frozenset[str]:
    """Write to a repository, perhaps with what another one has."""
    return frozenset({f"repository:{repository}:pull,push"}) | (
        reading(mounting) if mounting else frozenset()
    )


def deleting(repository: str) -> frozenset[str]:
    """Remove manifests; a tag may have to be pointed elsewhere first."""
    return frozenset({f"repository:{repository}:delete,pull,push"})
