"""The files that the page on private conda channels shows are read as it says."""

from __future__ import annotations

from pathlib import Path

import yaml
from modelyard.environments import CondaSpec, read_settings
from modelyard.environments.conda.channels import find_channels
from modelyard.environments.conda.clients import headers_for, tokens_of

from tests.conftest import ROOT
from tests.e2e.test_documentation import File, shown

PAGE = ROOT / "docs/how-to/use-a-private-conda-channel.md"


def files(folder: Path) -> dict[str, Path]:
    for step in shown(PAGE):
        assert isinstance(step, File)
        (folder / step.path).write_text(step.content)
    return {path.name: path for path in folder.iterdir()}


def test_the_shown_files_let_the_shown_channels_in(tmp_path: Path):
    shown_files = files(tmp_path)
    environ = {
        "HOME": str(tmp_path),
        "CONDARC": str(shown_files["condarc"]),
        "RATTLER_AUTH_FILE": str(shown_files["credentials.json"]),
        "CHANNEL_PASSWORD": "pass",
        "CHANNEL_TOKEN": "tk-1",
    }
    spec = CondaSpec.read(yaml.safe_load(shown_files["environment.yml"].read_text()))
    settings = read_settings(environ)
    channels = find_channels(
        (*spec.channels, "https://a.mirror.example/c", "https://packages.example/d"), settings, ""
    )
    assert [one.url for one in channels] == [
        "https://packages.example/models",
        "https://conda.company.example/channels/stable",
        "https://a.mirror.example/c",
        "https://packages.example/d",
    ]
    headers = headers_for(channels)
    assert headers("conda.company.example", "/channels/stable/noarch/x.conda") == {
        "Authorization": "Basic YnVpbGRlcjpwYXNz"
    }
    assert headers("a.mirror.example", "/c/noarch/x.conda") == {"Authorization": "Bearer ..."}
    assert tokens_of(channels) == {
        "https://packages.example/models/": ["https://packages.example/t/tk-1/models/"],
        "https://packages.example/d/": ["https://packages.example/t/.../d/"],
    }
