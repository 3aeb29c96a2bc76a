"""Walk the accelerator preference list: the first entry that can be granted wins."""

from __future__ import annotations

import attrs

from modelyard.api import DeviceGrant, DeviceRequest, Refusal, ResourceSpec


@attrs.frozen
class Walk:
    """A walk down the list, one answer at a time; `passed_over` says why earlier entries were not taken."""

    ahead: tuple[DeviceRequest, ...]
    passed_over: tuple[Refusal, ...] = ()
    grant: DeviceGrant | None = None

    @property
    def current(self) -> DeviceRequest | None:
        """The entry to ask for now; None when the walk is over."""
        return self.ahead[0] if self.ahead and self.grant is None else None

    def answered(self, answer: DeviceGrant | Refusal) -> Walk:
        """Take the backend's answer to the current entry."""
        if isinstance(answer, DeviceGrant):
            return attrs.evolve(self, grant=answer)
        return attrs.evolve(self, ahead=self.ahead[1:], passed_over=(*self.passed_over, answer))

    @property
    def story(self) -> str:
        """One line: what was granted and what was passed over, with the reasons."""
        got = "nothing" if self.grant is None else self.grant.backend
        if self.grant is not None and self.grant.device_ids:
            got = f"{got} ({', '.join(self.grant.device_ids)})"
        if not self.passed_over:
            return got
        return f"{got}, because " + "; ".join(refusal.message for refusal in self.passed_over)


def requests_of(resources: ResourceSpec) -> tuple[DeviceRequest, ...]:
    """Turn the spec's preference list into what backends are asked."""
    return tuple(
        DeviceRequest(
            kind=wish.kind,
            model=wish.model,
            count=wish.count,
            memory_bytes=wish.memory_bytes,
            cpu_millicores=resources.cpu_millicores,
            ram_bytes=resources.memory_bytes,
            cpu_limit_millicores=resources.cpu_limit_millicores,
            ram_limit_bytes=resources.memory_limit_bytes,
        )
        for wish in resources.accelerator
    )
