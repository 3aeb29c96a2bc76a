"""Hook implementations of the registry plugin; the work is in `registry`."""

from __future__ import annotations

import os

from modelyard.api import Maturity, Registry
from modelyard.hookspecs import hookimpl

from modelyard_registry.config import find_root
from modelyard_registry.layout import OciLayoutRegistry

api_level = 1
maturity = Maturity.BETA


@hookimpl
def offer_registries() -> list[Registry]:
    """Offer the OCI layout in the engine's home."""
    return [OciLayoutRegistry(find_root(os.environ))]
