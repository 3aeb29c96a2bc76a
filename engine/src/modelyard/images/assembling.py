"""Assemble an image layer by layer, straight into a registry: no daemon, no root, no script run.

Blobs come first, then the configuration, the manifest, and last its tag: whoever is killed in between
leaves nothing that a tag names, and whoever tries again finds the blobs that are there already.
"""

from __future__ import annotations

from pathlib import Path

from modelyard.api import Artifact, Descriptor, NotFound
from modelyard.images.bases import bring_layers
from modelyard.images.configs import CONFIG_TYPE, write_config
from modelyard.images.images import Image, Repository
from modelyard.images.memos import LayerMemo, NoMemo
from modelyard.images.packing import Packer, UnderWay


async def assemble(  # noqa: PLR0913  all but one by keyword
    image: Image,
    *,
    source: Repository,
    target: Repository,
    tag: str,
    folder: Path,
    memo: LayerMemo | None = None,
    under_way: UnderWay | None = None,
) -> Descriptor:
    """Store an image in `target` under `tag` and return its manifest; what is there already is not sent.

    `source` holds the base; `folder` takes one layer at a time and is left as it was; `memo` spares reading
    what was packed before. A layer that is `under_way` to the target is waited for before the manifest goes.
    Raises `ImageUnbuildable` when a file changed since it was listed.
    """
    packer = Packer(target, folder, memo or NoMemo(), image.compression)
    try:
        return await _put_together(image, source, packer, tag, under_way)
    except NotFound:
        # the registry lost what it had a moment ago: now each blob is asked for, and what is missing is sent
        return await _put_together(image, source, packer, tag, None)


async def _put_together(
    image: Image, source: Repository, packer: Packer, tag: str, under_way: UnderWay | None
) -> Descriptor:
    target = packer.target
    await bring_layers(image.base, source, target, packer.folder)
    layers = [
        under_way.layer if under_way and under_way.key == one.key else await packer.layer(one)
        for one in image.additions
    ]
    content = write_config(image, layers)
    config = await target.registry.push_blob(target.name, content, CONFIG_TYPE)
    if under_way:
        await under_way.sent
    blobs = (*image.base.layers, *(layer.blob for layer in layers))
    return await target.registry.push(target.name, Artifact(CONFIG_TYPE, blobs, config=config), tag=tag)
