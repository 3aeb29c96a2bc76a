"""The auth plugin keeps the promises that every authenticator and every plugin makes."""

from __future__ import annotations

import pytest
from modelyard.api import Authenticator
from modelyard.testing import AuthenticatorConformance, PluginConformance
from modelyard_auth import KeyAuthenticator


class TestKeys(AuthenticatorConformance):
    @pytest.fixture
    def authenticator(self) -> Authenticator:
        return KeyAuthenticator()


class TestAuthPlugin(PluginConformance):
    @pytest.fixture
    def plugin_name(self) -> str:
        return "auth"
