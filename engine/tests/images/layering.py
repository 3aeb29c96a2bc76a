"""Layers as other tools write them, and images made of them."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence

import zstandard
from modelyard.api import Artifact, Descriptor, Registry
from modelyard.images.layers import GZIP_TYPE, TAR_TYPE, ZSTD_TYPE

from engine.tests.images.making import BASES, CONFIG_TYPE, base_config, sha

Link = tuple[str, str]
"""("symlink" or "hardlink", target)."""


DPKG: Mapping[str, bytes | Link | None] = {
    "etc/os-release": b'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": (
        b"Package: libfoo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.2-3\n"
        b"Description: one\n Version: 9\n\n"
        b"Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1.0\n"
    ),
}
"""What a Debian says of its packages: one is installed, of another only its configuration is left."""


def layer(members: Mapping[str, bytes | Link | None]) -> bytes:
    """Write a tar: bytes are a file, None is a folder."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                info.type = tarfile.SYMTYPE if content[0] == "symlink" else tarfile.LNKTYPE
                info.linkname = content[1]
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return output.getvalue()


def to(target: str) -> Link:
    return ("symlink", target)


def squeezed(content: bytes, media_type: str) -> bytes:
    if media_type == GZIP_TYPE:
        return gzip.compress(content, mtime=0)
    if media_type != ZSTD_TYPE:
        return content
    # as tools write it that compress on several cores: many frames
    return b"".join(zstandard.compress(content[at : at + 10_000]) for at in range(0, len(content), 10_000))


def unzstd(content: bytes) -> bytes:
    """Read every frame."""
    with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as reader:
        return reader.read()


async def put_image(
    registry: Registry,
    layers: Sequence[bytes],
    *,
    media_type: str = TAR_TYPE,
    variables: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    repository: str = BASES,
    tag: str = "3",
) -> Descriptor:
    """Store an image of these layers."""
    import json

    blobs = [await registry.push_blob(repository, squeezed(one, media_type), media_type) for one in layers]
    config = base_config(
        rootfs={"type": "layers", "diff_ids": [sha(one) for one in layers]},
        history=[],
        config={"Env": list(variables), "Labels": dict(labels or {})},
    )
    configured = await registry.push_blob(repository, json.dumps(config).encode(), CONFIG_TYPE)
    return await registry.push(repository, Artifact(CONFIG_TYPE, tuple(blobs), config=configured), tag=tag)
