"""Key authentication: issues a service's two keys and compiles them into digests for the router.

Keeps no state and never writes a key anywhere: the engine stores what it is handed.
Imports modelyard's public names only (`modelyard.api`, `modelyard.hookspecs`).
"""

from modelyard_auth.authenticator import KeyAuthenticator

__all__ = ["KeyAuthenticator"]
