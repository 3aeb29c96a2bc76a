"""Build the engine's own image: its wheels, in a layer of their own, upon an image of what they need."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath

import attrs

from modelyard.api import Compression, Descriptor, RouterSettings
from modelyard.environments import WheelFile, digest, lay_out, lock_of
from modelyard.images.assembling import assemble
from modelyard.images.descriptions import Inside, environments_of
from modelyard.images.entries import Entry, File, Folder, complete
from modelyard.images.images import NOBODY_ID, Addition, Base, Image, Part, Repository, Start
from modelyard.images.packing import is_known
from modelyard.images.places import ENGINE, ENGINE_HOME, in_image
from modelyard.images.pythons import path_of
from modelyard.images.services import Workshop
from modelyard.images.trees import list_tree

ENGINES = "images/engine"
"""The repository, in every registry, of the engine's own image; tags are versions."""
_EVERYWHERE = "0.0.0.0"  # noqa: S104  a container's network is its own; what is published is the user's word
_LAYER_VERSION = 1
"""A change of how the layer is made is a new version: a remembered one is then made again."""
_FIRST = PurePosixPath("modelyard/processes/first.py")
_VERSION_LABEL = "org.opencontainers.image.version"
_TITLE = "modelyard engine"


@attrs.frozen
class EngineParts:
    """What the engine's image holds, `version` and `revision` (may be empty) being told in its labels."""

    wheels: tuple[WheelFile, ...]
    version: str
    revision: str = ""


async def build_engine(
    parts: EngineParts, base: Base, *, source: Repository, target: Repository, tag: str, workshop: Workshop
) -> Descriptor:
    """Store the engine's image under a tag and return its manifest. The same parts give the same digest.

    `base` is an image in `source` that has, at `ENGINE`, everything that the wheels need.
    """
    inside = next(one for one in environments_of(base) if one.prefix == ENGINE)
    addition = await _own(parts, inside, target, workshop)
    image = Image(
        base,
        [addition],
        _TITLE,
        parts.revision,
        start_of(inside, base),
        labels={_VERSION_LABEL: parts.version},
        compression=workshop.compression,
    )
    workshop.on_line(f"pushing {target.name}:{tag} to {target.registry.name}")
    return await assemble(
        image,
        source=source,
        target=target,
        tag=tag,
        folder=workshop.folder,
        memo=workshop.memo,
    )


def start_of(inside: Inside, base: Base) -> Start:
    """Say how the engine starts in a container: in the foreground, with everything it writes in one volume.

    A container's own network is what loopback is to a machine, so the router listens on all of it.
    """
    python, programs = str(inside.prefix / "bin" / "python"), inside.prefix / "bin"
    first = inside.prefix / "lib" / f"python{inside.python.minor}" / "site-packages" / _FIRST
    serve = (python, "-I", "-m", "modelyard.daemon", "serve", "--contained", "--router-address", _EVERYWHERE)
    return Start(
        entrypoint=(python, "-I", "-S", str(first), *serve),
        variables={
            "HOME": str(ENGINE_HOME),  # where uv and others keep what they fetched
            "MODELYARD_HOME": str(ENGINE_HOME),
            "PATH": f"{programs}:{path_of(base.config)}",
        },
        folder=str(ENGINE_HOME),
        volumes=(str(ENGINE_HOME),),
        ports=(RouterSettings().port,),
    )


async def _own(parts: EngineParts, inside: Inside, target: Repository, workshop: Workshop) -> Addition:
    """Lay the wheels out alone, and take nothing but their own files."""
    key = _key(parts, inside, workshop.compression)
    tree = workshop.folder / "wheels"
    if not await is_known(key, target, workshop.memo):
        await lay_out(
            lock_of(""),
            tree,
            prefix=inside.prefix,
            python=inside.python,
            runtime=None,
            wheels=[one.path for one in parts.wheels],
            on_line=workshop.on_line,
        )
    return Addition(Part.ENGINE, partial(_files, tree, inside), key)


def _files(tree: Path, inside: Inside) -> tuple[Entry, ...]:
    """List what the wheels brought, less the frame that every environment has, and the folder to write to."""
    root = in_image(inside.prefix)
    entries = list_tree(tree, root, of_base=frozenset({str(inside.python.path)}))
    own = [one for one in entries if isinstance(one, File) and one.place != f"{root}/pyvenv.cfg"]
    return complete([*own, Folder(in_image(ENGINE_HOME), owner=NOBODY_ID)])


def _key(parts: EngineParts, inside: Inside, compression: Compression) -> str:
    return digest(
        {
            "kind": "layer-engine",
            "version": _LAYER_VERSION,
            "place": [str(inside.prefix), str(inside.python.path), inside.python.version],
            "wheels": sorted(one.digest for one in parts.wheels),
            "compression": compression,
        }
    )
