"""Compile a tree for its prefix: byte code that is never checked against its source's time.

Times in an image are all the same, so code is marked UNCHECKED_HASH; it names the files' final paths. Packages'
own tests, half of the source of some, are left as source: nobody imports them where a model is served.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modelyard.api import SystemError_
from modelyard.environments.bases import Place
from modelyard.environments.interpreters import Interpreter
from modelyard.environments.solving import OnLine
from modelyard.environments.steps import STEP_SECONDS, full_disk, last_words
from modelyard.processes import run

_SHARDS = 8
"""As many processes on every machine: what a process compiled before may show in the bytes of what follows."""
_PROGRAM = """
import sys
sys.path.pop(0)  # the working folder: what lies there is not ours to import
import os, py_compile
tree, prefix, shards = sys.argv[1], sys.argv[2], int(sys.argv[3])
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH

def compile_all(files):
    for file in files:
        final = prefix + file[len(tree):]
        try:
            py_compile.compile(file, dfile=final, doraise=True, invalidation_mode=mode)
        except py_compile.PyCompileError as error:
            said = "not compiled: %s: %s\\n" % (final, error.exc_value)
            os.write(1, said.encode(errors="backslashreplace"))

files = []
for at, folders, names in os.walk(os.path.join(tree, "lib")):
    if os.path.basename(at) != "site-packages":
        folders[:] = [one for one in folders if one != "tests"]
    files += [os.path.join(at, name) for name in names if name.endswith(".py")]
files.sort()
for shard in range(shards):
    if os.fork() == 0:
        compile_all(files[shard::shards])
        os._exit(0)
sys.exit(any([os.wait()[1] for _ in range(shards)]))
"""


async def compile_tree(tree: Path, place: Place, compiler: Interpreter, on_line: OnLine | None) -> None:
    """Compile every module; one whose syntax is of another Python is told and left, as importing it fails."""
    options = ["-S", "-s", "-B", "-W", "ignore"]
    arguments = [str(tree), str(place.prefix), str(_SHARDS)]
    done = await run(
        [str(compiler.path), *options, "-c", _PROGRAM, *arguments],
        cwd=tree.parent,
        env=_environment(os.environ),
        timeout_seconds=STEP_SECONDS,
        on_line=on_line,
    )
    if done.status != 0:
        raise full_disk(done.output_tail, tree.parent) or SystemError_(
            f"Python {compiler.version} could not compile the environment: {last_words(done.output_tail)}",
            place=str(compiler.path),
            remedy=f"check that this Python works, or install another Python {place.base.minor}",
        )


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would change the byte code; before Python 3.11 sets came out in the order of their hashes."""
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONHASHSEED": "0"}
