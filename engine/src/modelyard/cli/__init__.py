"""The `engine` command: words in, words out, written on the client like any other program.

Here: options, tables, progress, exit codes. Never here: a decision about services, or a file of the
engine's home. Imports client, spec, processes and api, and those only inside a command: `--help` is free.
"""

from modelyard.cli.root import main

__all__ = ["main"]
