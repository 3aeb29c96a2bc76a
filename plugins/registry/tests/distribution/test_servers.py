"""`registries.toml` is read with every mistake at once, and nothing of it is guessed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import UserError
from modelyard_registry import config, plugin
from modelyard_registry.distribution.places import origin_of
from modelyard_registry.distribution.servers import LOGINS, Server, parse_servers, read_servers

FULL = """
[registry.company]
host = "Registry.example:5000"
prefix = "team/models"
ca_file = "/etc/ssl/company.pem"
auth = "docker"
docker_login = "https://login.example/v1/"
realms = ["auth.example:443", "Other.example:8443"]

[registry.cloud]
host = "123.ecr.region-1.cloud.example"
auth = "ecr"
exchange_pattern = "{account}.ecr.{region}.cloud.example"
exchange_url = "https://api.{region}.cloud.example/"
"""


def test_everything_that_can_be_said_is_understood():
    servers, mistakes = parse_servers(FULL.encode())
    assert not mistakes
    assert servers == (
        Server(
            name="company",
            origin=origin_of("https://registry.example:5000"),
            prefix="team/models",
            ca_file=Path("/etc/ssl/company.pem"),
            docker_login="https://login.example/v1/",
            realms=frozenset({"auth.example", "other.example:8443"}),
        ),
        Server(
            name="cloud",
            origin=origin_of("https://123.ecr.region-1.cloud.example"),
            auth="ecr",
            exchange_url="https://api.region-1.cloud.example/",
            names={"account": "123", "region": "region-1"},
        ),
    )


@pytest.mark.parametrize(
    ("lines", "origin"),
    [
        ('host = "registry.example"', "https://registry.example"),
        ('host = "registry.example"\ninsecure = true', "http://registry.example"),
        ('host = "127.0.0.1:5000"', "http://127.0.0.1:5000"),
        ('host = "localhost"', "http://localhost"),
        ('host = "[::1]:5000"', "http://[::1]:5000"),
        ('host = "127.0.0.1:5000"\ninsecure = false', "https://127.0.0.1:5000"),
        ('host = "127.0.0.1:5000"\nca_file = "/ca.pem"', "https://127.0.0.1:5000"),
    ],
)
def test_tls_is_left_out_on_this_machine_and_where_the_user_says_so(lines: str, origin: str):
    (server,), mistakes = parse_servers(f"[registry.one]\n{lines}".encode())
    assert not mistakes
    assert str(server.origin) == origin


ONE = '[registry.one]\nhost = "registry.example"\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("registry = 1", "registry: must be tables"),
        ("[registry]\none = 1", "registry.one: must be a table"),
        ("[registries.one]", "did you mean 'registry'?"),
        (f'{ONE}hots = "a"', ".hots: is an unknown key; did you mean 'host'?"),
        ("[registry.one]", ".host: ''"),
        ("[registry.one]\nhost = 1", ".host: must be a text"),
        ('[registry.one]\nhost = "https://registry.example"', ".host: "),
        ('[registry.one]\nhost = "a@registry.example"', ".host: "),
        ('[registry.one]\nhost = "registry.example/path"', ".host: "),
        ('[registry.one]\nhost = "registry.example:99999"', ".host: "),
        ('[registry."One!"]\nhost = "registry.example"', "its name may have"),
        (f'{ONE}insecure = "yes"', ".insecure: must be true or false"),
        (f'{ONE}realms = "auth.example"', ".realms: must be a list of texts"),
        (f'{ONE}realms = ["https://auth.example"]', ".realms: "),
        (f'{ONE}ca_file = "ca.pem"', ".ca_file: 'ca.pem' must begin at /"),
        (f'{ONE}auth = "magic"', f"none of {', '.join(LOGINS)}"),
        (f'{ONE}prefix = "Team"', ".prefix: "),
        (f'{ONE}exchange_url = "https://x.example"', ".exchange_url: means nothing"),
        (f'{ONE}auth = "acr"', ".exchange_url: must be an address"),
        (f'{ONE}auth = "acr"\nexchange_url = "http://x.example"', "without TLS"),
        (f'{ONE}auth = "ecr"\nexchange_pattern = "{{a}}.other"\nexchange_url = "https://x"', "does not fit"),
        (f'{ONE}auth = "ecr"\nexchange_url = "https://{{region}}.example"', ".exchange_url: must be"),
        ("[registry.one", "no TOML"),
        ("a = 1\na = 2", "no TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place(content: str, said: str):
    servers, mistakes = parse_servers(content.encode())
    assert servers == ()
    assert len(mistakes) == 1
    assert said in mistakes[0]


def test_every_mistake_is_told_at_once_with_the_file(tmp_path: Path):
    file = tmp_path / "registries.toml"
    file.write_text('[registry.one]\nhost = "/"\nprefix = "/"\n[registry.two]\nhots = "a"\n')
    with pytest.raises(UserError) as caught:
        read_servers(file)
    assert caught.value.place == str(file)
    for said in ("registry.one.host", "registry.one.prefix", "registry.two.hots"):
        assert said in caught.value.message


@given(st.binary() | st.text().map(str.encode))
def test_no_content_raises(content: bytes):
    servers, mistakes = parse_servers(content)
    assert not (servers and mistakes)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        read_servers(tmp_path)
    assert caught.value.place == str(tmp_path)


def test_no_file_means_no_server_beside_the_layout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    assert [record.name for record in plugin.offer_registries()] == ["oci-layout", "docker-daemon"]


def test_every_server_of_the_file_is_a_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    (tmp_path / "registries.toml").write_text(FULL)
    assert [record.name for record in plugin.offer_registries()] == [
        "oci-layout",
        "docker-daemon",
        "company",
        "cloud",
    ]


def test_offering_servers_loads_no_http_library(tmp_path: Path):
    (tmp_path / "registries.toml").write_text(FULL)
    program = (
        "import sys; from modelyard_registry import plugin; records = plugin.offer_registries();"
        "print(len(records), 'httpx' in sys.modules, 'ssl' in sys.modules and 'httpcore' in sys.modules,"
        " 'docker' in sys.modules or 'requests' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"MODELYARD_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.split() == ["4", "False", "False", "False"]


def test_the_file_may_be_elsewhere(tmp_path: Path):
    environ = {"MODELYARD_HOME": "/elsewhere", "MODELYARD_REGISTRIES": str(tmp_path / "mine.toml")}
    assert config.find_servers_file(environ) == tmp_path / "mine.toml"


def test_a_repositorys_name_begins_with_the_prefix():
    server = Server("one", origin_of("https://registry.example"), prefix="team/models")
    assert server.full("digits") == "team/models/digits"
    assert attrs.evolve(server, prefix="").full("digits") == "digits"
