"""The root command: one line of help for each verb, and where its code is. Nothing else is imported for `--help`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import NoReturn, cast

import click

COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("running:up", "Start the engine: controller and router, on this machine."),
    "down": ("running:down", "Stop the engine and everything it runs; state is kept."),
    "plan": ("deploying:plan", "Say what a deploy would do; changes nothing."),
    "deploy": ("deploying:deploy", "Deploy a folder with an engine.yaml."),
    "list": ("showing:list_services", "List the services."),
    "show": ("showing:show", "Show one service."),
    "logs": ("showing:logs", "Print the logs of a service's replicas."),
    "keys": ("keys:keys", "Show or rotate a service's keys."),
    "score": ("scoring:score", "Send one request to a service."),
    "scaling": ("showing:scaling", "Show why there are so many replicas."),
    "scale": ("deploying:scale", "Change how many replicas a service may have."),
    "rollback": ("deploying:rollback", "Go back to an earlier revision."),
    "delete": ("deploying:delete", "Drain a service and remove everything it made."),
    "images": ("images:images", "Look at images and locks, copy, make and remove them."),
    "image": ("engine_image:image", "Build the engine's own image."),
    "plugins": ("machine:plugins", "List plugins, and why one is broken."),
    "devices": ("machine:devices", "List this machine's devices and their health."),
    "doctor": ("machine:doctor", "Check what this machine can do, and how to mend it."),
    "schema": ("about:schema", "Print the JSON Schema of engine.yaml."),
    "version": ("about:version", "Print versions."),
    "completion": ("about:completion", "Print the completion script for a shell."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of a service's life."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"modelyard.cli.commands.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101  a typo in the table above
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for a mistyped one."""
        from difflib import get_close_matches

        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; `engine --help` lists them"
            ctx.fail(f"no such command {name!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table above: no command is imported for it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--home", type=click.Path(file_okay=False), help="The engine's folder, instead of MODELYARD_HOME."
)
@click.pass_context
def engine(context: click.Context, home: str | None) -> None:
    """From a folder with a model to a served, scaled, protected endpoint."""
    from modelyard.cli.session import Session

    if context.obj is None:
        context.obj = Session.of(home)


def main() -> NoReturn:
    """Run the command and end with its exit code: 0 ok, 1 user error, 2 system error."""
    from modelyard.cli.failing import guarded

    # httpx would load a command line of its own, with all that paints it: 50 ms of ours
    sys.modules.setdefault("httpx._main", cast("ModuleType", None))
    sys.exit(guarded(engine))
