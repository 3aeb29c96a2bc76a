"""Ask a plugin what it offers, and check every record before anybody can pick it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs

from modelyard.api import (
    Authenticator,
    Check,
    DeviceBackend,
    ImageBuilder,
    ImageTarget,
    Registry,
    Scaler,
    Target,
)
from modelyard.host.admitting import Admitted, Unfit
from modelyard.host.working import Hung, Raised, attempt

PROTOCOLS: Mapping[str, type] = {
    "registries": Registry,
    "image_builders": ImageBuilder,
    "devices": DeviceBackend,
    "authenticators": Authenticator,
    "scalers": Scaler,
    "targets": Target,
    "checks": Check,
}
"""Kind of record -> what it must be; `offer_<kind>` is the hook."""

RESERVED = frozenset({("authenticators", "none")})
"""Names that are the engine's own."""


@attrs.frozen(eq=False)
class Offered:
    """A record, where it belongs, and whose it is."""

    kind: str
    name: str
    plugin: str
    record: Any


def ask(plugin: Admitted, *, seconds: float) -> tuple[Offered, ...]:
    """Ask every offer hook the plugin has; raises `Unfit` at the first answer that is no good."""
    kinds = (kind for kind in PROTOCOLS if plugin.implements(f"offer_{kind}"))
    return tuple(offered for kind in kinds for offered in _ask_kind(plugin, kind, seconds=seconds))


def refuse_duplicates(offers: tuple[Offered, ...], taken: Mapping[tuple[str, str], str]) -> None:
    """Raise `Unfit` when a name is taken, naming both plugins; `taken` says by whom."""
    owners = dict(taken)
    for offered in offers:
        key = (offered.kind, offered.name)
        if key in RESERVED:
            raise Unfit(f"it offers {offered.name!r} among {offered.kind}, a name that is the engine's own")
        if key in owners:
            both = f"plugins {owners[key]!r} and {offered.plugin!r}"
            raise Unfit(f"{both} both offer {offered.name!r} among {offered.kind}")
        owners[key] = offered.plugin


def _ask_kind(plugin: Admitted, kind: str, *, seconds: float) -> tuple[Offered, ...]:
    hook = f"offer_{kind}"
    try:
        return attempt(partial(_collect, plugin, kind), seconds=seconds)
    except Hung as hung:
        raise Unfit(f"{hook}: {hung}") from None
    except Raised as raised:
        if isinstance(raised.error, Unfit):
            raise raised.error from None
        raise Unfit(f"{hook} raised {raised}") from raised.error


def _collect(plugin: Admitted, kind: str) -> tuple[Offered, ...]:
    # Runs in the guarded thread from end to end: a record's properties are the plugin's code too.
    hook = f"offer_{kind}"
    answers = plugin.bind(hook, {})()
    if len(answers) < plugin.implementations(hook):
        raise Unfit(f"{hook} gave None; an empty list says that there is nothing to offer")
    return tuple(
        _checked(plugin.name, kind, record) for answer in answers for record in _as_list(hook, answer)
    )


def _as_list(hook: str, answer: object) -> list[object]:
    if not isinstance(answer, list):
        raise Unfit(f"{hook} gave {type(answer).__name__}, not a list")
    return answer


def _checked(plugin: str, kind: str, record: object) -> Offered:
    protocol = _protocol(kind, record)
    label = type(record).__name__
    if not isinstance(record, protocol):
        missing = sorted(name for name in _members(protocol) if not hasattr(record, name))
        raise Unfit(
            f"offer_{kind} gave {label}, which is no {protocol.__name__}: it lacks {', '.join(missing)}"
        )
    name = getattr(record, "name", None)
    if not isinstance(name, str) or not name:
        raise Unfit(f"offer_{kind} gave {label} whose name is {name!r}, not a text")
    return Offered(kind=kind, name=name, plugin=plugin, record=record)


def _protocol(kind: str, record: object) -> type:
    takes_images = kind == "targets" and getattr(record, "artifact", "") == "image"
    return ImageTarget if takes_images else PROTOCOLS[kind]


def _members(protocol: type) -> list[str]:
    return [name for one in protocol.__mro__ for name in vars(one) if not name.startswith("_")]
