"""settings.yaml: absent means defaults, and mistakes are shown as well as a service's."""

from pathlib import Path

import pytest
from modelyard.api import (
    EngineSettings,
    ImageSettings,
    PluginSettings,
    RouterSettings,
    SnapshotLimits,
    SpecError,
)
from modelyard.spec import read_settings


def test_no_file_means_defaults(tmp_path: Path):
    assert read_settings(tmp_path / "settings.yaml") == EngineSettings()


def test_an_empty_file_means_defaults(tmp_path: Path):
    (tmp_path / "settings.yaml").write_text("# nothing yet\n")
    assert read_settings(tmp_path / "settings.yaml") == EngineSettings()


def test_every_setting_can_be_set(tmp_path: Path):
    (tmp_path / "settings.yaml").write_text(
        "plugins: {disabled: [gpu], required: [cpu], hook_timeout_seconds: 500ms, strict: true}\n"
        "snapshot: {max_bytes: 1GB, max_files: 5, max_patterns: 6, max_pattern_length: 7}\n"
        "router: {address: '::1', port: 0}\nregistry: other\n"
        "images: {base: 'python:{python}', builder: docker, compression: zstd, shared: [company],\n"
        "  signing_key: keys/own.key, verify: required, trusted_keys: [keys/trusted, /etc/keys/theirs.pub],\n"
        "  osv_database: osv, osv_max_age_days: 3}\n"
    )
    assert read_settings(tmp_path / "settings.yaml") == EngineSettings(
        plugins=PluginSettings(frozenset({"gpu"}), frozenset({"cpu"}), 0.5, strict=True),
        snapshot=SnapshotLimits(1_000_000_000, 5, 6, 7),
        router=RouterSettings("::1", 0),
        images=ImageSettings(
            base="python:{python}",
            builder="docker",
            compression="zstd",
            shared=("company",),
            signing_key=tmp_path / "keys/own.key",
            verify="required",
            trusted_keys=(tmp_path / "keys/trusted", Path("/etc/keys/theirs.pub")),
            osv_database=tmp_path / "osv",
            osv_max_age_days=3,
        ),
        registry="other",
    )


def test_mistakes_are_reported_at_once_with_their_lines(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text("plugins: {strict: 1}\nrouter:\n  adress: x\n  address: localhost\n  port: 70000\n")
    with pytest.raises(SpecError) as caught:
        read_settings(file)
    found = [(f["line"], f["key"], f["suggestion"]) for f in caught.value.findings]
    assert found == [
        (1, "plugins.strict", ""),
        (3, "router.adress", "router.address"),
        (4, "router.address", ""),
        (5, "router.port", ""),
    ]


def test_signatures_are_never_demanded_of_nobody(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    for wish, keys in (("verify", "trusted_keys"), ("verify_bases", "base_keys")):
        for none in ("", f", {keys}: []"):
            file.write_text(f"images: {{{wish}: required{none}}}\n")
            with pytest.raises(SpecError) as caught:
                read_settings(file)
            (finding,) = caught.value.findings
            assert finding["key"] == f"images.{wish}"
            assert "nobody is trusted" in finding["message"]


def test_wrong_settings_of_signatures_are_each_told(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text(
        "images:\n  verify: always\n  trusted_keys: [a.pub, '', 'b\\0']\n  signing_key: [x]\n"
        "  osv_max_age_days: 0\n"
    )
    with pytest.raises(SpecError) as caught:
        read_settings(file)
    assert [one["key"] for one in caught.value.findings] == [
        "images.verify",
        "images.trusted_keys[1]",
        "images.signing_key",
        "images.osv_max_age_days",
    ]
    file.write_text("images: {trusted_keys: a.pub}\n")
    with pytest.raises(SpecError, match="1 problem"):
        read_settings(file)
