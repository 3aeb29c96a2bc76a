"""Where requests may go is decided on the address alone, and alike by every parser."""

from __future__ import annotations

import contextlib

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from modelyard_registry.distribution.listing import next_page
from modelyard_registry.distribution.places import UntrustedPlace, check_realm, follow, is_loopback, origin_of
from modelyard_registry.distribution.refusals import place_of

REGISTRY = origin_of("https://registry.example")
LOCAL = origin_of("http://127.0.0.1:5000")
ADDRESSES = st.text(alphabet="htps:/@\\?#[].%0127abcx-_ \t", max_size=40) | st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https", "HTTPS", "ftp"]),
    st.text(alphabet="ab.@:\\[]1%/", max_size=12),
    st.text(alphabet="/?#@:ab", max_size=8),
)


@example("https://a.b:443/x")
@example("HTTPS://A.b/x?y#z")
@example("http://[::1]:80/")
@given(ADDRESSES)
def test_what_we_take_for_a_host_is_what_the_library_connects_to(address: str):
    with contextlib.suppress(UntrustedPlace):
        ours = origin_of(address)
        theirs = httpx.URL(address)
        assert (ours.scheme, ours.host.strip("[]")) == (theirs.scheme, theirs.host)
        assert theirs.port in (None, ours.port)
        assert not theirs.userinfo


@pytest.mark.parametrize(
    "realm",
    ["https://registry.example/token", "https://registry.example:443/x", "https://auth.example/token?a=b"],
)
def test_a_realm_on_the_registry_or_on_the_list_is_trusted(realm: str):
    check_realm(realm, REGISTRY, ["auth.example"])


@pytest.mark.parametrize(
    "realm",
    [
        "https://auth.example.evil.example/token",
        "https://registry.example.evil.example/",
        "https://registry.example@evil.example/",
        "https://registry.example\\@evil.example/",
        "https://evil.example#registry.example",
        "https://registry.example:8443/token",
        "http://registry.example/token",
        "http://auth.example/token",
        "https://127.0.0.1/token",
        "https://auth.example\n/token",
        "//auth.example/token",
        "auth.example/token",
        "https:///token",
        "https://auth.example:99999/",
        "",
    ],
)
def test_any_other_realm_is_refused(realm: str):
    with pytest.raises(UntrustedPlace):
        check_realm(realm, REGISTRY, ["auth.example"])


@pytest.mark.parametrize(
    ("location", "reached"),
    [
        ("/v2/a/blobs/uploads/1", "https://registry.example/v2/a/blobs/uploads/1"),
        ("https://storage.example/b?sig=1", "https://storage.example/b?sig=1"),
        ("https://10.0.0.7/b", "https://10.0.0.7/b"),
    ],
)
def test_storage_elsewhere_is_followed(location: str, reached: str):
    assert follow("https://registry.example/v2/a/blobs/x", location, REGISTRY) == reached


@example("http://[")
@given(ADDRESSES | st.text())
def test_no_location_raises_anything_else(location: str):
    with contextlib.suppress(UntrustedPlace):
        follow("https://registry.example/v2/", location, REGISTRY)
    assert isinstance(place_of(location), str)
    with contextlib.suppress(ValueError):
        next_page("https://registry.example/v2/a/tags/list", f'<{location}>; rel="next"')


def test_a_place_has_no_signature_and_no_password():
    assert place_of("https://a:b@storage.example/x?signature=1#y") == "https://storage.example/x"


@pytest.mark.parametrize(
    "location",
    [
        "http://storage.example/b",
        "https://localhost/b",
        "https://a.localhost./b",
        "https://127.0.0.1/b",
        "https://127.1/b",
        "https://0x7f000001/b",
        "https://[::1]/b",
        "https://[::ffff:127.0.0.1]/b",
        "https://[::ffff:a9fe:a9fe]/b",
        "https://169.254.169.254/b",
        "https://0.0.0.0/b",
        "ftp://storage.example/b",
    ],
)
def test_this_machines_insides_are_not(location: str):
    with pytest.raises(UntrustedPlace):
        follow("https://registry.example/v2/a/blobs/x", location, REGISTRY)


def test_a_registry_on_this_machine_may_keep_its_storage_there():
    assert follow("http://127.0.0.1:5000/v2/", "http://localhost:9000/b", LOCAL) == "http://localhost:9000/b"
    with pytest.raises(UntrustedPlace):
        follow("http://127.0.0.1:5000/v2/", "http://169.254.169.254/b", LOCAL)


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("localhost", True),
        ("127.0.0.2", True),
        ("[::1]", True),
        ("registry.example", False),
        ("10.0.0.1", False),
    ],
)
def test_this_machine_is_told_by_its_name(host: str, is_own: bool):  # noqa: FBT001
    assert is_loopback(host) is is_own
