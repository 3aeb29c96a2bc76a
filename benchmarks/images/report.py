"""What one round took, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from stand import spread


@attrs.frozen
class Round:
    """Seconds, and MiB of the most memory at once."""

    ours_cold: float
    ours_changed: float
    ours_hit: float
    ours_keep: float
    docker_cold: float
    docker_changed: float
    same_digest: bool
    own_mib: float
    largest_child_mib: float


def show(rounds: Sequence[Round]) -> None:
    def each(name: str) -> list[float]:
        return [getattr(one, name) for one in rounds]

    def ratio(docker: str, ours: str) -> list[float]:
        return [theirs / mine for theirs, mine in zip(each(docker), each(ours), strict=True)]

    for what, one in (("cold build and push", "cold"), ("code-only change, pushed", "changed")):
        ours, docker = f"ours_{one}", f"docker_{one}"
        print(f"{what}: ours {spread(each(ours))} s, docker {spread(each(docker))} s,")
        print(f"  docker / ours {spread(ratio(docker, ours))}")
    print(f"snapshot of changed code:  ours {spread(each('ours_keep'))} s")
    print(f"nothing changed:          ours {spread(each('ours_hit'))} s")
    print(f"same digest elsewhere:    {all(one.same_digest for one in rounds)}")
    print(f"memory: own {spread(each('own_mib'))} MiB, largest child {spread(each('largest_child_mib'))} MiB")
