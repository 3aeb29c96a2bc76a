"""Look at an entry script without running it: it must be Python and define what a replica calls."""

from __future__ import annotations

import ast
import keyword
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from modelyard.spec.files import read_bytes
from modelyard.spec.findings import WrongError

MAX_SCRIPT_BYTES = 5_000_000
_ALLOWED = "a .py file whose name is a Python identifier, inside code.source"
_CALLED = ("run", "infer", "driver_module")
"""What a replica may call: v1's function, the one of tensors, or the module that v1's wrappers look into."""
_BLOCKS = ("body", "orelse", "finalbody", "handlers")


def check_entry_name(entry: str) -> None:
    """Check the entry's path. Raises `WrongError`."""
    path = Path(entry)
    if path.is_absolute() or ".." in path.parts:
        raise WrongError("leaves code.source", allowed=_ALLOWED)
    if path.suffix != ".py" or not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise WrongError("is no importable script", allowed=_ALLOWED)


def check_script(path: Path, *, python: str | None = None) -> None:
    """Check that a script exists, parses as Python `python` and defines `run` or `infer`. Raises `WrongError`."""
    source = read_bytes(path, most=MAX_SCRIPT_BYTES)
    version = tuple(map(int, python.split("."))) if python else sys.version_info[:2]
    if version > sys.version_info[:2]:
        return  # what is new in its language is not known here
    statements = _parsed(source, version).body
    if not any(_defines(statements, name) for name in _CALLED):
        raise WrongError(
            "does not define `run`", allowed="a top-level function run(data), or infer(inputs) for tensors"
        )


def _parsed(source: bytes, version: tuple[int, ...]) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a script's odd escapes are its author's business
            return ast.parse(source, feature_version=version[1])
    except SyntaxError as error:
        raise WrongError(
            f"is not valid Python {'.'.join(map(str, version))}: {error.msg} (line {error.lineno})",
            allowed=_ALLOWED,
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise WrongError(f"cannot be parsed: {error}", allowed=_ALLOWED) from error


def _defines(statements: Iterable[ast.AST], name: str) -> bool:
    return any(_binds(statement, name) for statement in statements)


def _binds(statement: ast.AST, name: str) -> bool:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name == name
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        return any(found.id == name for found in names)
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return any((alias.asname or alias.name) in (name, "*") for alias in statement.names)
    return any(_defines(getattr(statement, block, ()), name) for block in _BLOCKS)
