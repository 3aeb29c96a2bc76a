"""Build the image of an environment: every order that needs no script run, on this machine, without a daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

from modelyard.api import BuildOrder, BuildSite, Descriptor, Maturity, PipLayer, Refusal
from modelyard.environments import lay_out, lock_of
from modelyard.images.assembling import assemble
from modelyard.images.attesting import load_library
from modelyard.images.bases import find_base
from modelyard.images.billing import bill_order, let_be_found
from modelyard.images.conda import conda_variables, lay_out_layer
from modelyard.images.descriptions import describe_conda
from modelyard.images.entries import Entry
from modelyard.images.images import Addition, Image, Part, Repository, Start
from modelyard.images.places import in_image
from modelyard.images.trees import list_tree
from modelyard.processes import Home

NAME = "assemble"


class Assembler:
    """Builds images layer by layer; implements `api.ImageBuilder`."""

    name = NAME
    maturity = Maturity.BETA

    def __init__(self, home: Home) -> None:
        self._home = home

    def can_build(self, order: BuildOrder) -> Refusal | None:
        """Refuse what runs a script of somebody's."""
        if not (order.docker_steps or order.dockerfile):
            return None
        return Refusal(
            plugin="builtin",
            code="steps_need_docker",
            message="docker steps run in a container, which layers alone cannot do",
            remedy="install Docker, or a plugin whose builder can",
        )

    async def build(self, order: BuildOrder, site: BuildSite) -> Descriptor:
        """Lay every environment out and put it on the base."""
        source = Repository(site.base, order.base.repository)
        library = asyncio.create_task(asyncio.to_thread(load_library))  # while uv waits for the network
        base = await find_base(source, order.base.digest, order.platform)
        additions = [await _environment(layer, site) for layer in order.pips]
        labels, variables = dict(order.labels), dict[str, str]()
        if order.conda is not None:
            conda = await lay_out_layer(order.conda, site, self._home)
            additions.append(conda.addition)
            labels |= describe_conda(conda.facts)
            variables = conda_variables(base, order.conda.prefix)
        image = Image(
            base,
            additions,
            order.title,
            start=Start(variables=variables),
            labels=labels,
            compression=site.compression,
        )
        site.on_line(f"packing and pushing {len(image.additions)} layers on {base.name}")
        target = Repository(site.workspace, order.repository)
        manifest = await assemble(image, source=source, target=target, tag="", folder=site.folder)
        await library
        await bill_order(order, manifest, base, site, looks=self._home.bases)
        return await let_be_found(manifest, target, order.tag)


async def _environment(layer: PipLayer, site: BuildSite) -> Addition:
    tree = site.folder / layer.prefix.name
    await lay_out(
        lock_of(layer.lock),
        tree,
        prefix=layer.prefix,
        python=layer.python,
        runtime=None,
        system_packages=layer.system_packages,
        on_line=site.on_line,
    )
    return Addition(Part.ENVIRONMENT, await asyncio.to_thread(_list, tree, layer))


def _list(tree: Path, layer: PipLayer) -> tuple[Entry, ...]:
    return list_tree(tree, in_image(layer.prefix), of_base=frozenset({str(layer.python.path)}))
