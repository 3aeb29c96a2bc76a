"""Hook implementations of the auth plugin; the work is in `authenticator`."""

from __future__ import annotations

from modelyard.api import Authenticator, Maturity
from modelyard.hookspecs import hookimpl

from modelyard_auth.authenticator import KeyAuthenticator

api_level = 1
maturity = Maturity.BETA


@hookimpl
def offer_authenticators() -> list[Authenticator]:
    """Offer `auth: key`."""
    return [KeyAuthenticator()]
