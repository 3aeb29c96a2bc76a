"""Docker's names of images are taken as Docker writes them, and nothing else is."""

from __future__ import annotations

import pytest
from modelyard.api import NotFound, Unavailable, UserError
from modelyard_registry.daemon.names import check_name, familiar, host_of, shelf_of, whole_name
from modelyard_registry.daemon.refusals import refused, unpulled


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "library/python",
        "host:5000/team/x",
        "localhost/x",
        "registry.example/a/b-c_d",
        "127.0.0.1:80/x",
    ],
)
def test_what_docker_takes_is_a_name(name: str):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Python",
        "python:3",
        "a@b",
        "../x",
        "/x",
        "x/",
        "a b",
        "-o/x",
        "host:port/x",
        "host:5000/",
        "x" * 300,
        "a\n",
        "*",
    ],
)
def test_what_docker_does_not_take_is_refused_before_it_is_asked(name: str):
    with pytest.raises(UserError):
        check_name(name)


def test_a_tag_and_a_digest_are_joined_as_docker_does():
    assert whole_name("python", "3") == "python:3"
    assert whole_name("python", "sha256:0") == "python@sha256:0"


def test_the_registry_asked_by_default_has_no_name():
    assert host_of("python") == host_of("team/python") == ""
    assert host_of("host:5000/x") == "host:5000"
    assert [familiar(name) for name in ("docker.io/library/python", "docker.io/team/x", "h.example/x")] == [
        "python",
        "team/x",
        "h.example/x",
    ]


def test_two_repositories_never_share_a_shelf():
    assert shelf_of("a/b") != shelf_of("a-b")


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        (
            "manifest for x:1 not found: manifest unknown: manifest unknown",
            NotFound,
            "docker login host:5000",
        ),
        (
            "pull access denied for x, repository does not exist or may require 'docker login'",
            NotFound,
            "docker login",
        ),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", NotFound, ""),
        ("unauthorized: authentication required", UserError, "docker login host:5000"),
        ('Get "https://host:5000/v2/": no basic auth credentials', UserError, "docker login host:5000"),
        ("write /var/lib/docker/tmp/x: no space left on device", Unavailable, "free space"),
        ("dial tcp: lookup host: no such host", Unavailable, "network"),
    ],
)
def test_why_an_image_was_not_pulled_is_told_apart(said: str, kind: type[Exception], remedy: str):
    failure = unpulled(said, "host:5000/x", "host:5000/x:1")
    assert type(failure) is kind
    assert remedy in failure.remedy


def test_what_the_daemon_refuses_is_told_apart():
    assert type(refused("No such image: x", 404, "here")) is NotFound
    assert "full" in refused("no space left on device", 500, "here").message
    assert type(refused("server error", 500, "here")) is Unavailable
