"""A small base image: one static busybox with the programs that steps of a build run, as links to it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from modelyard.api import Artifact, Descriptor, Registry
from modelyard.images import platform_of
from modelyard.images.configs import CONFIG_TYPE
from modelyard.images.layers import TAR_TYPE

PROGRAMS = ("sh", "cat", "echo", "false", "id", "ls", "mkdir", "sleep", "true", "wget", "dd", "rm", "seq")
LABELS = {"org.opencontainers.image.title": "busybox", "kept": "yes"}


async def put_busybox(registry: Registry, repository: str, tag: str, *, mark: str = "") -> Descriptor:
    """Push the base; skips the test where there is no static busybox. Another mark makes it another image."""
    layer = busybox_layer(mark)
    platform = platform_of(os.uname().machine)
    document = {
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": LABELS},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "busybox"}],
    }
    blob = await registry.push_blob(repository, layer, TAR_TYPE)
    config = await registry.push_blob(repository, json.dumps(document).encode(), CONFIG_TYPE)
    return await registry.push(repository, Artifact(CONFIG_TYPE, (blob,), config=config), tag=tag)


def busybox_layer(mark: str = "") -> bytes:
    """Give the tar of the one layer; the mark is a file in it."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for folder in ("bin", "etc", "tmp"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o777 if folder == "tmp" else 0o755
            tar.addfile(info)
        for name, content in {"bin/busybox": _busybox().read_bytes(), "etc/mark": mark.encode()}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
        for program in PROGRAMS:
            info = tarfile.TarInfo(f"bin/{program}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
    return output.getvalue()


def _busybox() -> Path:
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("needs busybox (Debian: busybox-static)")
    told = subprocess.run(["ldd", found], capture_output=True, text=True, check=False, timeout=10)
    if told.returncode == 0 and "=>" in told.stdout:
        pytest.skip("needs a static busybox (Debian: busybox-static)")
    return Path(found)
