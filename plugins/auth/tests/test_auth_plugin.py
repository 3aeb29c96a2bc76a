"""What the host sees of the auth plugin."""

from __future__ import annotations

from modelyard_auth import plugin


def test_the_plugin_speaks_level_one_and_offers_the_key_authenticator():
    assert plugin.api_level == 1
    assert [record.name for record in plugin.offer_authenticators()] == ["key"]
