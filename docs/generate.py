"""Write the generated reference pages, or say which are stale.

python docs/generate.py            # write docs/reference/engine-yaml.md and command-line.md
python docs/generate.py --check    # exit code 1 when a page is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from modelyard.cli.root import COMMANDS, engine
from modelyard.spec import json_schema

REFERENCE = Path(__file__).resolve().parent / "reference"

SPEC_HEAD = """# engine.yaml

<!-- written by docs/generate.py -->

One file describes one service.
`engine schema` prints this as JSON Schema (draft 2020-12), with which an editor completes and checks the file.
Every mistake is reported at once, each with its line, the range that is allowed, and the nearest valid key.
`null` means the default.

| key | what it is | default | allowed |
|---|---|---|---|
"""

CLI_HEAD = """# The engine command

<!-- written by docs/generate.py -->

Every command takes `--json` and then prints one JSON document.
Exit codes: 0 ok, 1 something the caller can mend, 2 something the machine or a dependency did.
Output has no escape codes unless a terminal reads it.
"""


def engine_yaml() -> str:
    """Give the table of keys."""
    schema = json_schema()
    return SPEC_HEAD + "\n".join(rows(schema, schema.get("$defs", {}))) + "\n"


def rows(node: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.get("properties", {}).items():
        resolved = definitions.get(str(value.get("$ref", "")).rpartition("/")[2], value)
        default = f"`{resolved['default']}`" if resolved.get("default") not in (None, "") else ""
        words = str(resolved.get("description", "")).replace("|", "\\|")
        yield f"| `{prefix}{key}` | {words} | {default} | {allowed(resolved)} |"
        for branch in (resolved, *resolved.get("anyOf", ()), *resolved.get("oneOf", ())):
            if branch.get("type") == "object":
                yield from rows(branch, definitions, f"{prefix}{key}.")


def allowed(node: Mapping[str, Any]) -> str:
    bounds = [
        f"{words} {node[bound]:g}"
        for bound, words in (("minimum", "at least"), ("maximum", "at most"))
        if bound in node
    ]
    choices = [f"`{choice}`" for choice in node.get("enum", ())]
    pattern = [f"`{node['pattern']}`".replace("|", "\\|")] if "pattern" in node else []
    return ", ".join([*bounds, *choices, *pattern])


def command_line() -> str:
    """Give the help of every command."""
    return CLI_HEAD + "".join(pages())


def pages() -> Iterator[str]:
    root = click.Context(engine, info_name="engine")
    for name in COMMANDS:
        command = engine.get_command(root, name)
        assert command is not None
        yield from page(command, click.Context(command, info_name=name, parent=root))


def page(command: click.Command, context: click.Context) -> Iterator[str]:
    context.max_content_width = 100
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from page(inner, click.Context(inner, info_name=name, parent=context))


PAGES = {"engine-yaml.md": engine_yaml, "command-line.md": command_line}


def main() -> int:
    stale = [name for name, write in PAGES.items() if read(REFERENCE / name) != write()]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/reference/{name} is stale: run python docs/generate.py")
        return 1 if stale else 0
    for name in stale:
        (REFERENCE / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
