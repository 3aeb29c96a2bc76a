"""The life of a worker process: told what to load, loads it, serves until the front goes."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import socket
import sys
import time
from typing import Any, Dict, Sequence, Union

from .explaining import exit_code_of, explain, show
from .frames import BROKEN, READY
from .link import FrontGone, Link
from .script import Script, load
from .serving import EXIT_GONE, Serving, ThreadedServing

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Serve over the two sockets inherited under the given numbers, for the given parent."""
    channel, handles, parent = map(int, arguments)
    faulthandler.enable()
    if not _die_with(parent):
        return EXIT_GONE
    link = Link(socket.socket(fileno=channel), socket.socket(fileno=handles))
    try:
        setup = json.loads(link.next().fields[0])  # type: ignore[arg-type]  # never in shared memory
        sys.argv = [os.path.join(setup["code_dir"], setup["entry"])]  # pathlib is not needed for one path
        script = _start(link, setup)
        if isinstance(script, int):
            return script
        return _serving(link, script, setup).run()
    except FrontGone:
        return EXIT_GONE


def _start(link: Link, setup: Dict[str, Any]) -> Union[Script, int]:
    doing = "loading the script"
    began = time.monotonic()
    try:
        script = load(setup["code_dir"], setup["entry"], batching=setup["batching"], compat=setup["compat"])
        doing = "init()"
        script.init()
    except BaseException as error:  # noqa: BLE001  # a script may raise anything, SystemExit too: it is why it cannot serve
        show(error)
        cause, remedy = explain(error, setup["code_dir"], doing)
        exit_code = exit_code_of(error, doing)
        link.send(BROKEN, 0, [json.dumps([cause, remedy, exit_code]).encode()])
        return exit_code
    gc.collect()
    gc.freeze()  # the model is here to stay: no collection need look at it again
    told = {"description": script.description._asdict(), "took_s": time.monotonic() - began}
    link.send(READY, 0, [json.dumps(told).encode()])
    return script


def _serving(link: Link, script: Script, setup: Dict[str, Any]) -> Serving:
    if setup["slots"] == 1:
        return Serving(link, script, depth=setup["depth"])
    return ThreadedServing(link, script, depth=setup["depth"], slots=setup["slots"])


def _die_with(parent: int) -> bool:
    """Have the kernel end this process with its parent; False when it is gone already."""
    if sys.platform == "linux":
        try:
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except ImportError:  # a Python built without libffi: the end of the socket still tells
            pass
    return os.getppid() == parent
