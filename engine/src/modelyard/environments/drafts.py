"""Lock records that are looked at before they are kept, or while it is noted which of them are used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from modelyard.environments.records import LockRecords


@attrs.frozen
class Drafts:
    """Reads from `kept` and writes into `drafts` alone, until somebody keeps them."""

    kept: LockRecords
    drafts: dict[str, str] = attrs.field(factory=dict)

    async def load(self, spec_key: str) -> str | None:
        """Return the draft, else the record that is kept."""
        return self.drafts[spec_key] if spec_key in self.drafts else await self.kept.load(spec_key)

    async def save(self, spec_key: str, text: str) -> None:
        """Take a draft."""
        self.drafts[spec_key] = text

    async def keep(self) -> int:
        """Save what differs from what is kept already; gives how many records that were."""
        changed = [(key, text) for key, text in self.drafts.items() if await self.kept.load(key) != text]
        for key, text in changed:
            await self.kept.save(key, text)
        return len(changed)


@attrs.frozen
class Noted:
    """Tells of every record that is about to be read or was found or written; reads and writes `kept`."""

    kept: LockRecords
    on_asked: Callable[[str], None]
    on_used: Callable[[str], Awaitable[None]]

    async def load(self, spec_key: str) -> str | None:
        """Return the record."""
        self.on_asked(spec_key)
        text = await self.kept.load(spec_key)
        if text is not None:
            await self.on_used(spec_key)
        return text

    async def save(self, spec_key: str, text: str) -> None:
        """Keep the record."""
        self.on_asked(spec_key)
        await self.kept.save(spec_key, text)
        await self.on_used(spec_key)
