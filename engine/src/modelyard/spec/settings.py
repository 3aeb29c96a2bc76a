"""The engine's own settings: `settings.yaml`, read with the care of a service's file."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from modelyard.api import EngineSettings, ImageSettings, PluginSettings, RouterSettings, SnapshotLimits
from modelyard.spec.choices import Choice, Flag
from modelyard.spec.fields import Field
from modelyard.spec.findings import Report, WrongError
from modelyard.spec.kinds import Context, Integer, Number, Text, TextList
from modelyard.spec.places import AnyPath, AnyPaths
from modelyard.spec.quantities import format_bytes, format_duration, parse_bytes, parse_duration
from modelyard.spec.reading import build, find, read_fields
from modelyard.spec.services import load

_SIZE = Number(parse_bytes, lambda v: format_bytes(int(v)), 1, 2**50, "300MB or 1Gi")
_TIME = Number(parse_duration, format_duration, 0.01, 600, "5s or 500ms")
_NAMES = TextList(Text(shortest=1, longest=100))
_SECTIONS: dict[str, type] = {
    "plugins": PluginSettings,
    "snapshot": SnapshotLimits,
    "router": RouterSettings,
    "images": ImageSettings,
}
_SIGNED = {"images.verify": "images.trusted_keys", "images.verify_bases": "images.base_keys"}
"""What may be required, and the keys without which it could never be."""
_SETS = ("plugins.disabled", "plugins.required")

SETTINGS_FIELDS: tuple[Field, ...] = (
    Field("plugins.disabled", "plugins.disabled", _NAMES, "Plugins that are not loaded."),
    Field("plugins.required", "plugins.required", _NAMES, "Plugins without which the engine does not start."),
    Field(
        "plugins.hook_timeout_seconds", "plugins.hook_timeout_seconds", _TIME, "The longest a hook may take."
    ),
    Field("plugins.strict", "plugins.strict", Flag(), "Whether any broken plugin stops the start."),
    Field("snapshot.max_bytes", "snapshot.max_bytes", _SIZE, "The most a project folder may hold."),
    Field(
        "snapshot.max_files",
        "snapshot.max_files",
        Integer(1, 1_000_000),
        "The most files of a project folder.",
    ),
    Field("snapshot.max_patterns", "snapshot.max_patterns", Integer(1, 10_000), "The most ignore patterns."),
    Field(
        "snapshot.max_pattern_length", "snapshot.max_pattern_length", Integer(1, 10_000), "Longest pattern."
    ),
    Field(
        "router.address", "router.address", Text(shortest=1, longest=45), "The address the router listens on."
    ),
    Field("router.port", "router.port", Integer(0, 65_535), "The port it listens on; 0 = any free one."),
    Field(
        "images.base",
        "images.base",
        Text(shortest=1, longest=300),
        "The base of images that name none; {python} stands for the Python asked for.",
    ),
    Field("images.builder", "images.builder", Text(shortest=1, longest=100), "The builder asked first."),
    Field("images.compression", "images.compression", Choice(("gzip", "zstd")), "How layers are compressed."),
    Field("images.shared", "images.shared", _NAMES, "Registries looked into after the engine's own."),
    Field("images.signing_key", "images.signing_key", AnyPath(), "The private key that signs images."),
    Field("images.verify", "images.verify", Choice(("never", "required")), "Whether images must be signed."),
    Field(
        "images.trusted_keys",
        "images.trusted_keys",
        AnyPaths(),
        "Public keys of signers, or folders of them.",
    ),
    Field(
        "images.verify_bases",
        "images.verify_bases",
        Choice(("never", "required")),
        "Whether base images must be signed.",
    ),
    Field("images.base_keys", "images.base_keys", AnyPaths(), "Public keys of signers of bases, or folders."),
    Field("images.osv_database", "images.osv_database", AnyPath(), "The folder of known vulnerabilities."),
    Field(
        "images.osv_max_age_days",
        "images.osv_max_age_days",
        Integer(1, 3650),
        "The age in days from which the known vulnerabilities count as unknown.",
    ),
    Field("registry", "registry", Text(shortest=1, longest=100), "The registry that keeps artifacts."),
)


def read_settings(path: Path) -> EngineSettings:
    """Read the settings; an absent file gives the defaults. Raises `SpecError` with every finding."""
    if not path.exists():
        return EngineSettings()
    report = Report(str(path))
    root = load(path, report)
    context = Context(path.absolute().parent, report)
    values = read_fields(root, SETTINGS_FIELDS, context)
    if "router.address" in values:
        try:
            _check_address(values["router.address"])
        except WrongError as error:
            context.wrong(error, find(root, "router.address"), "router.address")
    for wish, keys in _SIGNED.items():
        if values.get(wish) == "required" and not values.get(keys):
            nobody = WrongError("is required and nobody is trusted", allowed=f"{keys} beside it")
            context.wrong(nobody, find(root, wish), wish)
    report.raise_if_any()
    values |= {key: frozenset(values[key]) for key in _SETS if key in values}
    return EngineSettings(**build(_SECTIONS, values, SETTINGS_FIELDS))


def _check_address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise WrongError("is no IP address", allowed="an IPv4 or IPv6 address, as 127.0.0.1") from error
