"""Hook implementations of the engine's own plugin, one line each."""

from __future__ import annotations

import os

from modelyard.api import Check, ImageBuilder, Maturity, Scaler, Target
from modelyard.builtin.checks import machine_checks
from modelyard.containers import Daemon, daemon_address
from modelyard.control.scaling import BusyScaler
from modelyard.hookspecs import hookimpl
from modelyard.images import Assembler
from modelyard.images.dockerfiles import DockerImageBuilder
from modelyard.processes import find_home
from modelyard.targets import DockerTarget, ProcessTarget

api_level = 1
maturity = Maturity.ALPHA


@hookimpl
def offer_targets() -> list[Target]:
    """Offer this machine's processes, and containers of its Docker daemon, which is asked when it is wanted."""
    home = find_home(os.environ)
    return [ProcessTarget(home), DockerTarget(home, Daemon(daemon_address(os.environ)))]


@hookimpl
def offer_image_builders() -> list[ImageBuilder]:
    """Offer to put images together here, and to have docker steps built in this machine's Docker daemon."""
    home = find_home(os.environ)
    return [Assembler(home), DockerImageBuilder(home.builds, os.environ, home.bases)]


@hookimpl
def offer_scalers() -> list[Scaler]:
    """Offer the scaler that keeps replicas busy to the wanted percentage."""
    return [BusyScaler()]


@hookimpl
def offer_checks() -> list[Check]:
    """Offer the checks of this machine."""
    return list(machine_checks(find_home(os.environ), os.environ))
