"""Errors in words: cause, place, remedy, and an exit code."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from modelyard.api import ModelyardError

OK, USER_ERROR, SYSTEM_ERROR = 0, 1, 2


def guarded(command: click.Command, arguments: list[str] | None = None, **more: Any) -> int:
    """Run a command; whatever it ends with becomes words on stderr and an exit code."""
    try:
        code = command.main(args=arguments, standalone_mode=False, prog_name="engine", **more)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return USER_ERROR
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return USER_ERROR
    except BrokenPipeError:
        # The reader has seen enough (`engine logs x | head`); Python must not complain at exit either.
        sys.stderr.close()
        return OK
    except _ours() as error:
        complain(error, as_json=_asked_for_json(arguments))
        return exit_code(error)
    return code if isinstance(code, int) else OK


def _ours() -> type[ModelyardError]:
    # Evaluated only when something was raised: `--help` never pays for the import.
    from modelyard.api import ModelyardError

    return ModelyardError


def exit_code(error: ModelyardError) -> int:
    """1 when the caller can mend it, 2 otherwise."""
    from modelyard.api import UserError

    return USER_ERROR if isinstance(error, UserError) else SYSTEM_ERROR


def complain(error: ModelyardError, *, as_json: bool) -> None:
    """Print an error: for people on stderr, for programs as one JSON document on stdout."""
    if as_json:
        body = {
            "code": error.code,
            "message": error.message,
            "place": error.place,
            "remedy": error.remedy,
            "details": error.details(),
        }
        click.echo(json.dumps({"error": body}, indent=2))
        return
    click.echo(f"error: {error.message}", err=True)
    for detail in error.details():
        click.echo(f"  - {_detail(detail)}", err=True)
    if error.place:
        click.echo(f"  where: {error.place}", err=True)
    if error.remedy:
        click.echo(f"  remedy: {error.remedy}", err=True)


def _asked_for_json(arguments: list[str] | None) -> bool:
    return "--json" in (sys.argv[1:] if arguments is None else arguments)


def _detail(detail: dict[str, Any]) -> str:
    place = ":".join(str(detail[part]) for part in ("file", "line") if detail.get(part))
    key = f"{detail['key']}: " if detail.get("key") else ""
    hints = []
    if detail.get("value") not in (None, ""):
        hints.append(f"got {detail['value']!r}")
    if detail.get("allowed"):
        hints.append(f"allowed: {detail['allowed']}")
    if detail.get("suggestion"):
        hints.append(f"did you mean {detail['suggestion']!r}?")
    if detail.get("remedy"):
        hints.append(str(detail["remedy"]))
    words = detail.get("message") or detail.get("reason") or ""
    return f"{place + ': ' if place else ''}{key}{words}" + (f" ({'; '.join(hints)})" if hints else "")
