"""The Python that the server runs in beside a script that has another. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from modelyard.api import BasePython, EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments import OLDEST_SERVER, CondaLock, locked_python, why_not_serving
from modelyard.images.places import CONDA


def choose_server(found: Sequence[BasePython], spec: EnvironmentSpec) -> BasePython:
    """Take the first Python that the server can run in.

    Raises `EnvironmentUnsolvable`, which names every one that was found with what is wrong about it.
    """
    fitting = [one for one in found if why_not_serving(one) is None]
    if not fitting:
        raise _no_server(found, spec)
    return fitting[0]


def check_servers(found: Sequence[BasePython], lock: CondaLock, spec: EnvironmentSpec) -> None:
    """Raise as `choose_server` where neither a base nor the conda packages to come have a Python for the server.

    Raises `EnvironmentUnsolvable` too where those packages have a Python that is no CPython.
    """
    coming = locked_python(lock, prefix=CONDA)
    # Whether it has its library shows in the laid out packages; until then it is believed.
    if coming is None or why_not_serving(attrs.evolve(coming, shared_libpython=True)) is not None:
        choose_server((*found, *([coming] if coming else ())), spec)


def _no_server(found: Sequence[BasePython], spec: EnvironmentSpec) -> EnvironmentUnsolvable:
    oldest = ".".join(map(str, OLDEST_SERVER))
    there = "; ".join(f"{one.shown} at {one.path}: {why_not_serving(one)}" for one in dict.fromkeys(found))
    where = "the lines of the Dockerfile" if spec.dockerfile is not None else "environment.docker_steps"
    return EnvironmentUnsolvable(
        f"the server needs Python {oldest} or newer with its libpython, beside a script's older one too,"
        f" and the base has {there or 'no Python'}",
        place="environment.dockerfile" if spec.dockerfile is not None else f"environment.base: {spec.base}",
        remedy=f"install a second Python, {oldest} or newer with its libpython, with {where}"
        " (Debian 12: `apt-get install python3 libpython3.11`), or choose a base that has one;"
        " the script keeps its own",
    )
