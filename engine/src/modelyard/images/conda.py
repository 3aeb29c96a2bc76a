"""The layer of conda packages: an environment of its own, whose Python runs what pip installs on top."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import attrs

from modelyard.api import BuildSite, CondaLayer
from modelyard.environments import (
    CondaLock,
    CondaSpec,
    lay_out_conda,
    parse_conda_lock,
    pip_constraints,
    python_of,
)
from modelyard.images.descriptions import CondaFacts
from modelyard.images.images import Addition, Base, Part
from modelyard.images.places import in_image
from modelyard.images.pythons import path_of
from modelyard.images.trees import list_tree
from modelyard.processes import Home


@attrs.frozen
class CondaTree:
    """A layer to add, and what it offers to the packages on top."""

    addition: Addition
    facts: CondaFacts


async def lay_out_layer(layer: CondaLayer, site: BuildSite, home: Home) -> CondaTree:
    """Fetch and link the packages of a lock for their prefix; `home` keeps them. Raises as `lay_out_conda` does."""
    lock = parse_conda_lock(layer.lock, spec_key="")
    tree = site.folder / layer.prefix.name
    await lay_out_conda(
        lock,
        tree,
        prefix=layer.prefix,
        spec=CondaSpec.read(layer.file),
        home=home,
        on_line=site.on_line,
    )
    return await asyncio.to_thread(_read, lock, tree, layer.prefix)


def conda_variables(base: Base, prefix: PurePosixPath) -> dict[str, str]:
    """Give the variables of an environment that is active: its programs come first."""
    return {"CONDA_PREFIX": str(prefix), "PATH": f"{prefix}/bin:{path_of(base.config)}"}


def _read(lock: CondaLock, tree: Path, prefix: PurePosixPath) -> CondaTree:
    entries = list_tree(tree, in_image(prefix))
    python = python_of(lock, tree, prefix=prefix)
    return CondaTree(Addition(Part.CONDA, entries), CondaFacts(python, pip_constraints(tree)))
