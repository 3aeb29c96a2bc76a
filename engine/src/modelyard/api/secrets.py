"""Values that must never be printed."""

from __future__ import annotations

import attrs


@attrs.frozen(repr=False)
class Secret:
    """A clear-text secret without a readable repr; call `reveal` only where it leaves the engine."""

    _value: str

    def reveal(self) -> str:
        """Return the clear value."""
        return self._value

    def __repr__(self) -> str:
        """Hide the value."""
        return "Secret('***')"

    __str__ = __repr__
