"""A real Python as a conda package: what is laid out runs at its final prefix, and what pip installs on top of it.

The package is made of this machine's own Python. Its prefix is mounted where an image would have it, in a
mount namespace of the test's own, and the Python that it was made of is hidden there.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pytest
from modelyard.environments import (
    Asked,
    Interpreter,
    lay_out,
    lock_of,
    pip_constraints,
    python_of,
    solve_for_base,
)

from engine.tests.environments.conftest import TOOL, write_wheel

from .conftest import PREFIX, Conda
from .making import LIBTINY, PURELY, Link, Made, write_channel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ENV = PurePosixPath("/opt/modelyard/env")
_LEFT_OUT = {"__pycache__", "site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "turtledemo"}
_INSIDE = """
set -e
mount -t tmpfs none /opt
mkdir -p /opt/modelyard/conda /opt/modelyard/env
mount --bind "$1" /opt/modelyard/conda
mount --bind "$2" /opt/modelyard/env
mount -t tmpfs none "$3"
shift 3
exec "$@"
"""
Run = Callable[..., str]


@pytest.fixture(scope="module")
def unshared() -> list[str]:
    """What begins a command that has its mounts to itself; skips where that may not be."""
    for options in (["--mount"], ["--mount", "--map-root-user"]):
        argv = ["unshare", *options, "--propagation", "private"]
        if (
            shutil.which("unshare")
            and not subprocess.run(
                [*argv, "mount", "-t", "tmpfs", "none", "/opt"], capture_output=True, check=False
            ).returncode
        ):
            return argv
    pytest.skip("needs a mount namespace: run as root, or where user namespaces are allowed")


@pytest.fixture
def real_python(interpreter: Interpreter) -> Made:
    root = interpreter.path.parent.parent
    if root == Path("/usr"):
        pytest.skip("needs a Python with a folder of its own: `uv python install`")
    minor = interpreter.version.rpartition(".")[0]
    files = dict(_files(root, minor))
    held = str(root).encode()
    prefixes = {
        name: "binary" if b"\0" in content else "text"
        for name, content in files.items()
        if isinstance(content, bytes) and held in content
    }
    return Made(
        "python",
        interpreter.version,
        "h0_cpython",
        files=files,
        prefixes=prefixes,
        placeholder=str(root),
        depends=("__glibc >=2.17",),
    )


def _files(root: Path, minor: str) -> Mapping[str, str | bytes | Link]:
    library = f"libpython{minor}.so.1.0"
    kept: dict[str, str | bytes | Link] = {
        f"bin/python{minor}": (root / f"bin/python{minor}").read_bytes(),
        "bin/python": Link(f"python{minor}"),
        f"lib/{library}": (root / "lib" / library).read_bytes(),
    }
    for path in sorted((root / f"lib/python{minor}").rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and not _LEFT_OUT & set(name.parts) and not name.parts[2].startswith("config-"):
            kept[str(name)] = path.read_bytes()
    return kept


@pytest.fixture
def run(
    conda: Conda,
    real_python: Made,
    interpreter: Interpreter,
    index: Path,
    tmp_path: Path,
    unshared: list[str],
) -> Run:
    """Lays conda's environment and pip's on top of it out, and runs programs where both are at their places."""
    write_wheel(index, "tooly", "1.0", more=TOOL)
    channel = write_channel(tmp_path / "channel", real_python, LIBTINY, PURELY)
    spec = conda.spec("purely", "libtiny", {"pip": ["tooly"]}, channels=(channel,))
    lock = conda.solve(spec)
    below = conda.lay(spec, lock=lock)
    python = python_of(lock, below, prefix=PREFIX)
    assert python is not None
    assert python.shared_libpython

    async def on_top() -> None:
        text = await solve_for_base(
            Asked(spec.pip),
            python,
            key="k",
            runtime=None,
            home=conda.home,
            records=conda.records,
            preinstalled=pip_constraints(below),
        )
        pins = lock_of(text)
        folder = tmp_path / "work/env"
        await lay_out(pins, folder, prefix=ENV, python=python, runtime=None, system_packages=True)

    asyncio.run(on_top())

    def inside(*argv: str) -> str:
        root = str(interpreter.path.parent.parent)
        program = [*unshared, "sh", "-c", _INSIDE, "sh", str(below), str(tmp_path / "work/env"), root, *argv]
        done = subprocess.run(
            program, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return inside


def test_what_is_laid_out_runs_at_its_prefix(run: Run, interpreter: Interpreter, minor: str, tmp_path: Path):
    # Not `sys.version`: a linker lets "3.11.7" be the end of the old prefix's text, which is replaced.
    facts = "import sys, json; print(sys.prefix, '%d.%d.%d' % sys.version_info[:3], json.__cached__)"
    below = f"{PREFIX}/lib/python{minor}"
    tag = f"cpython-{minor.replace('.', '')}"
    assert run(f"{PREFIX}/bin/python", "-I", "-c", facts) == (
        f"{PREFIX} {interpreter.version} {below}/json/__pycache__/__init__.{tag}.pyc"
    )
    assert run(f"{PREFIX}/bin/purely") == "purely runs"
    assert run(f"{PREFIX}/bin/purely-old") == "purely runs"
    assert run(f"{PREFIX}/bin/tiny") == "tiny"

    mapped = "print(open('/proc/self/maps').read())"
    assert f"{PREFIX}/lib/libpython{minor}.so.1.0" in run(f"{PREFIX}/bin/python", "-I", "-c", mapped)

    # Its byte code is taken as it is: nothing is compiled when a replica starts.
    source = tmp_path / f"work/tree/lib/python{minor}/site-packages/purely/__init__.py"
    source.write_text("def main():\n    print('edited')\n")
    assert run(f"{PREFIX}/bin/purely") == "purely runs"

    both = "import sys, tooly, purely; print(sys.prefix, sys.base_prefix, purely.__file__, tooly.VERSION)"
    assert run(f"{ENV}/bin/python", "-I", "-c", both) == (
        f"{ENV} {PREFIX} {below}/site-packages/purely/__init__.py 1.0"
    )
    assert run(f"{ENV}/bin/tooly") == "tooly runs"
