"""Build the image of a service: the runtime, the models and the code upon an environment's image.

What did not change is neither read nor sent: a change of code costs one small layer.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath

import attrs

from modelyard.api import Compression, Descriptor, OnLine
from modelyard.environments import RuntimeWheel, digest, lay_out, lock_of
from modelyard.images.assembling import assemble
from modelyard.images.descriptions import Inside, environments_of
from modelyard.images.entries import Entry, Folder
from modelyard.images.images import Addition, Base, Image, Part, Repository, Start
from modelyard.images.memos import LayerMemo
from modelyard.images.packing import UnderWay, is_known, send_layer, store_layer
from modelyard.images.places import APPLICATION, CODE, in_image
from modelyard.images.trees import list_tree

SERVICES = "images/services"
"""The repositories below it, one a service, have a tag for each revision."""
_LAYERS_VERSION = 2
"""A change of how layers are made is a new version: remembered ones are then made again."""
_START = ("-I", "-m", "modelyard_runtime.replica", "--from-environment")
_RUNTIME = "modelyard_runtime"


@attrs.frozen
class ServiceParts:
    """What a service's image holds; folders are those of the engine's own copies, named by their content."""

    name: str
    revision: int
    code: Path
    code_digest: str
    models: Path | None
    model_names: tuple[str, ...]
    """`name/version=digest` of each."""
    runtime: RuntimeWheel

    @property
    def repository(self) -> str:
        """Where the image goes."""
        return f"{SERVICES}/{self.name}"


@attrs.frozen
class Workshop:
    """Where images are put together: what is remembered, an empty folder, who hears of progress."""

    memo: LayerMemo
    folder: Path
    on_line: OnLine
    compression: Compression = "gzip"


async def send_code(parts: ServiceParts, *, target: Repository, workshop: Workshop) -> UnderWay:
    """Pack a service's code, which needs nothing to be known of the environment, and begin to send it."""
    return await send_layer(
        _code(parts, workshop), target, workshop.folder, workshop.memo, compression=workshop.compression
    )


async def store_models(parts: ServiceParts, *, target: Repository, workshop: Workshop) -> None:
    """Store the layer of a service's models, which needs nothing to be known of the environment either."""
    if parts.models:
        await _store(_models(parts, parts.models), target, workshop)


async def prepare_service(
    parts: ServiceParts, inside: Inside, *, target: Repository, workshop: Workshop
) -> None:
    """Store the layer of the runtime while the environment is still being built; `inside` will be the server's.

    It is remembered as that of the models is, so that `build_service` has nothing left to do but to name them.
    """
    await _store(await _runtime(parts.runtime, inside, target, workshop), target, workshop)


async def build_service(
    parts: ServiceParts,
    base: Base,
    *,
    source: Repository,
    target: Repository,
    workshop: Workshop,
    code: UnderWay | None = None,
) -> Descriptor:
    """Store a service's image under its revision's number and return its manifest.

    `base` is an environment's image in `source`; `code` may be on its way already. The same parts give the same
    digest.
    """
    inside = next(one for one in environments_of(base) if one.serving)
    additions = [*await _below_code(parts, inside, target, workshop), _code(parts, workshop)]
    start = Start(entrypoint=(str(inside.prefix / "bin" / "python"), *_START), folder=str(CODE))
    image = Image(base, additions, parts.name, parts.code_digest, start, compression=workshop.compression)
    return await assemble(
        image,
        source=source,
        target=target,
        tag=str(parts.revision),
        folder=workshop.folder,
        memo=workshop.memo,
        under_way=code,
    )


async def _store(addition: Addition, target: Repository, workshop: Workshop) -> None:
    await store_layer(addition, target, workshop.folder, workshop.memo, compression=workshop.compression)


async def _below_code(
    parts: ServiceParts, inside: Inside, target: Repository, workshop: Workshop
) -> list[Addition]:
    return [
        await _runtime(parts.runtime, inside, target, workshop),
        *([_models(parts, parts.models)] if parts.models else []),
    ]


def _code(parts: ServiceParts, workshop: Workshop) -> Addition:
    listing = partial(list_tree, parts.code, in_image(CODE))
    return Addition(Part.CODE, listing, _key("code", parts.code_digest, workshop.compression))


def _models(parts: ServiceParts, root: Path) -> Addition:
    listing = partial(list_tree, root, in_image(APPLICATION))
    return Addition(Part.MODELS, listing, _key("models", *parts.model_names))


async def _runtime(wheel: RuntimeWheel, inside: Inside, target: Repository, workshop: Workshop) -> Addition:
    """Lay the runtime out alone for the environment it joins, and take nothing but its own files."""
    python = inside.python
    key = _key(
        "runtime", wheel.digest, str(inside.prefix), str(python.path), python.version, workshop.compression
    )
    tree = workshop.folder / "runtime"
    if not await is_known(key, target, workshop.memo):
        await lay_out(
            lock_of(""),
            tree,
            prefix=inside.prefix,
            python=inside.python,
            runtime=wheel,
            on_line=workshop.on_line,
        )
    return Addition(Part.RUNTIME, partial(_runtime_files, tree, inside), key)


def _runtime_files(tree: Path, inside: Inside) -> tuple[Entry, ...]:
    """List what the runtime brought, less the frame that every environment has."""
    root = in_image(inside.prefix)
    site = f"{root}/lib/python{inside.python.minor}/site-packages"
    entries = list_tree(tree, root, of_base=frozenset({str(inside.python.path)}))
    own = [entry for entry in entries if entry.place.startswith(f"{site}/{_RUNTIME}")]
    above = {str(one) for entry in own for one in PurePosixPath(entry.place).parents}
    return tuple(e for e in entries if e in own or (isinstance(e, Folder) and e.place in above))


def _key(kind: str, *content: str) -> str:
    return digest({"kind": f"layer-{kind}", "version": _LAYERS_VERSION, "content": list(content)})
