"""Solve a conda file into a lock: for the image's platform, with strict priority of channels."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from modelyard.api import EnvironmentUnsolvable, Unavailable
from modelyard.environments.conda.caches import cache_folder
from modelyard.environments.conda.channels import Channel, find_channel, find_channels
from modelyard.environments.conda.clients import client_for
from modelyard.environments.conda.explaining import unreachable, unsolvable
from modelyard.environments.conda.locks import CondaLock, CondaPackage, make_conda_lock, parse_conda_lock
from modelyard.environments.conda.platforms import CondaPlatform
from modelyard.environments.conda.settings import CondaSettings, read_settings
from modelyard.environments.conda.specs import CondaSpec, Wanted
from modelyard.environments.keys import digest, public_address
from modelyard.environments.locks import LockDamaged
from modelyard.environments.records import LockRecords
from modelyard.environments.solving import OnLine, tell
from modelyard.processes import Home

if TYPE_CHECKING:
    from rattler import GenericVirtualPackage, RepoDataRecord

KEY_VERSION = 1
_SOLVE_SECONDS = 600
_CHANNELS = "environment.conda.channels"


@attrs.frozen
class Sources:
    """Where packages of a specification come from: channels in their order, the channel of single packages."""

    channels: tuple[Channel, ...]
    of_wanted: tuple[Channel | None, ...]


def sources_of(spec: CondaSpec, settings: CondaSettings) -> Sources:
    """Find the channels of a specification; those that single dependencies name come last.

    Raises `EnvironmentUnsolvable` for what is no channel.
    """
    channels = find_channels(spec.channels, settings, _CHANNELS)
    single = tuple(_channel_of(one, settings) if one.channel else None for one in spec.wanted)
    by_url = {one.url: one for one in (*channels, *single) if one is not None}
    more = [one for url, one in by_url.items() if url not in {channel.url for channel in channels}]
    return Sources((*channels, *more), single)


def conda_spec_key(spec: CondaSpec, sources: Sources, platform: CondaPlatform) -> str:
    """Return the hex key of what was asked for; what pip installs and credentials do not count."""
    urls = [one.url if one is not None else "" for one in sources.of_wanted]
    wanted = [[one.text, url] for one, url in zip(spec.wanted, urls, strict=True)]
    return digest(
        {
            "kind": "conda-spec",
            "version": KEY_VERSION,
            "platform": attrs.asdict(platform),
            "channels": [one.url for one in sources.channels],
            "wanted": sorted(wanted),
        }
    )


async def solve_conda(  # noqa: PLR0913  all but two by keyword, four with a default
    spec: CondaSpec,
    platform: CondaPlatform,
    *,
    home: Home,
    records: LockRecords,
    settings: CondaSettings | None = None,
    refresh: bool = False,
    frozen: bool = False,
    on_line: OnLine | None = None,
) -> CondaLock:
    """Return the lock of a conda file: the recorded one, else (or with `refresh`) a fresh one.

    `frozen` takes a recorded lock or raises. `settings` None = the user's own (`.condarc`). Raises
    `EnvironmentUnsolvable` for what does not resolve or is no channel, `UserError` for credentials that
    are refused, `Unavailable` for a channel that does not answer or is damaged.
    """
    if settings is None:
        settings = await asyncio.to_thread(read_settings, os.environ)
    sources = sources_of(spec, settings)
    key = conda_spec_key(spec, sources, platform)
    if (frozen or not refresh) and (recorded := await _recorded(key, records, on_line)) is not None:
        return recorded
    if frozen:
        raise EnvironmentUnsolvable(
            f"no lock of this conda file is recorded for {platform.shown}",
            place="environment.conda",
            remedy="solve it once without `frozen`",
        )
    shown = ", ".join(one.url for one in sources.channels)
    tell(on_line, f"resolving {len(spec.wanted)} conda dependencies for {platform.shown} from {shown}")
    found = await _solve(spec, sources, platform, home, refresh=refresh)
    lock = _lock(found, key, platform)
    tell(on_line, f"resolved to {len(lock.packages)} conda packages")
    await records.save(key, lock.text)
    return lock


def _channel_of(wanted: Wanted, settings: CondaSettings) -> Channel:
    found = find_channel(wanted.channel, settings, wanted.place)
    if len(found) != 1:
        raise EnvironmentUnsolvable(
            f"`{wanted.channel}` does not name one channel",
            place=wanted.place,
            remedy="write the one that has the package before `::`",
        )
    return found[0]


async def _recorded(key: str, records: LockRecords, on_line: OnLine | None) -> CondaLock | None:
    text = await records.load(key)
    if text is None:
        return None
    try:
        return parse_conda_lock(text, spec_key=key)
    except LockDamaged as error:
        tell(on_line, f"the recorded lock of the conda file is damaged: {error}")
        return None


async def _solve(
    spec: CondaSpec, sources: Sources, platform: CondaPlatform, home: Home, *, refresh: bool
) -> list[RepoDataRecord]:
    import rattler
    from rattler.exceptions import GatewayError, SolverError

    cache = await asyncio.to_thread(cache_folder, home, "repodata")
    gateway = rattler.Gateway(
        cache_dir=cache,
        client=client_for(sources.channels),
        default_config=rattler.SourceConfig(cache_action="no-cache" if refresh else "cache-or-fetch"),
    )
    try:
        async with asyncio.timeout(_SOLVE_SECONDS):
            return await rattler.solve(
                [rattler.Channel(f"{one.url}/") for one in sources.channels],
                _specs(spec, sources),
                gateway=gateway,
                platforms=[rattler.Subdir(platform.subdir), rattler.Subdir("noarch")],
                virtual_packages=_virtual(platform),
                channel_priority=rattler.ChannelPriority.Strict,
                channel_relations="disabled",
                timeout=dt.timedelta(seconds=_SOLVE_SECONDS),
            )
    except SolverError as error:
        raise unsolvable(str(error), spec.wanted, platform) from error
    except GatewayError as error:
        # The cause shows the address that was asked, with the token in it: it is told, not kept.
        raise unreachable(str(error), sources.channels, cache) from None
    except TimeoutError as error:
        raise Unavailable(
            f"the channels were not read and solved within {_SOLVE_SECONDS} s",
            place=_CHANNELS,
            remedy="check the network, then try again; pin more dependencies",
        ) from error


def _specs(spec: CondaSpec, sources: Sources) -> list[str]:
    """Write what is wanted as rattler reads it.

    Each name is asked for by itself too: rattler looks for a version through all channels, and would take
    it from a later one though an earlier one has the package.
    """
    pairs = list(zip(spec.wanted, sources.of_wanted, strict=True))
    named = [one.text if channel is None else f"{channel.url}/::{one.text}" for one, channel in pairs]
    return [*named, *sorted({one.name for one, channel in pairs if channel is None})]


def _virtual(platform: CondaPlatform) -> Sequence[GenericVirtualPackage]:
    from rattler import GenericVirtualPackage, PackageName, Version
    from rattler.package import BuildString

    return [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, (version, build) in platform.virtual_packages.items()
    ]


def _lock(found: Sequence[RepoDataRecord], key: str, platform: CondaPlatform) -> CondaLock:
    try:
        return make_conda_lock(
            map(_locked, found), spec_key=key, subdir=platform.subdir, glibc=platform.glibc
        )
    except LockDamaged as error:
        raise EnvironmentUnsolvable(
            f"a channel's package cannot be locked: {error}",
            place=_CHANNELS,
            remedy="ask who keeps the channel to list each package with its SHA-256",
        ) from error


def _locked(record: RepoDataRecord) -> CondaPackage:
    noarch = "python" if record.noarch.python else "generic" if record.noarch.generic else ""
    return CondaPackage(
        name=record.name.normalized,
        version=str(record.version),
        build=str(record.build),
        build_number=record.build_number,
        subdir=record.subdir,
        channel=public_address(record.channel or "").rstrip("/"),
        url=public_address(record.url),
        sha256=(record.sha256 or b"").hex(),
        size=record.size or 0,
        noarch=noarch,
        depends=tuple(record.depends),
        constrains=tuple(record.constrains),
        site_packages=record.python_site_packages_path or "",
    )
