"""Check of a cluster that may be there beside the engine. Its absence harms nothing."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelyard.api import Finding, Severity

PATIENCE_SECONDS = 1.5
_MAX_CONFIG_BYTES = 1_000_000
_GET_CLUSTER = "put a cluster's kubeconfig into ~/.kube/config, or name it in KUBECONFIG, if you have one"


def kubernetes(environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Look whether the current cluster's API host can be reached by TCP; no credential is used."""
    files = _config_files(environ)
    if not files:
        return (Finding("kubernetes", "kubeconfig", Severity.INFO, "none found", _GET_CLUSTER),)
    try:
        server = current_server([_read_config(file) for file in files])
    except (OSError, ValueError) as error:
        subject, fix = str(files[0]), "mend the file, or name another one in KUBECONFIG"
        return (Finding("kubernetes", subject, Severity.WARNING, f"cannot be read: {error}", fix),)
    if server is None:
        fix = "choose one: `kubectl config use-context NAME`"
        return (Finding("kubernetes", str(files[0]), Severity.WARNING, "no current cluster is set", fix),)
    return (_reach(server),)


def current_server(configs: list[Mapping[str, Any]]) -> str | None:
    """Give the API address of the current context; the first file that sets a thing wins. Pure."""
    context = next((name for one in configs if (name := one.get("current-context"))), None)
    cluster = _named(configs, "contexts", context, "context").get("cluster")
    server = _named(configs, "clusters", cluster, "cluster").get("server")
    return server if isinstance(server, str) and server else None


def _named(configs: list[Mapping[str, Any]], kind: str, name: object, inner: str) -> Mapping[str, Any]:
    for config in configs:
        entries = config.get(kind)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and entry.get("name") == name and name is not None:
                found = entry.get(inner)
                return found if isinstance(found, Mapping) else {}
    return {}


def _config_files(environ: Mapping[str, str]) -> list[Path]:
    named = [Path(one) for one in environ.get("KUBECONFIG", "").split(":") if one]
    home = Path(environ.get("HOME") or Path.home())
    return [file for file in named or [home / ".kube/config"] if file.exists()]


def _read_config(file: Path) -> Mapping[str, Any]:
    from modelyard.spec.documents import DocumentError, read_yaml

    if file.stat().st_size > _MAX_CONFIG_BYTES:
        raise ValueError(f"{file} is over {_MAX_CONFIG_BYTES} bytes")
    try:
        plain = read_yaml(file.read_text(encoding="utf-8")).plain()
    except DocumentError as error:
        raise ValueError(f"line {error.line}: {error}") from error
    if not isinstance(plain, Mapping):
        raise ValueError("it is not a mapping")  # noqa: TRY004  a wrong file, not a wrong argument
    return plain


def _reach(server: str) -> Finding:
    parts = urlsplit(server)
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
        socket.create_connection((parts.hostname or "", port), timeout=PATIENCE_SECONDS).close()
    except (OSError, ValueError) as error:
        fix = "start the cluster, join its network, or choose another context"
        return Finding("kubernetes", server, Severity.WARNING, f"the API does not answer: {error}", fix)
    return Finding("kubernetes", server, Severity.OK, "the API host answers")
