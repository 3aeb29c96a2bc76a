"""`score`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelyard.cli.options import json_option, service_argument
from modelyard.cli.printing import print_json
from modelyard.cli.session import Session

if TYPE_CHECKING:
    from modelyard.api import ModelyardError

_CLIENT_ERROR, _SERVER_ERROR = 400, 500


@click.command()
@service_argument
@click.option(
    "--data", required=True, metavar="TEXT|@FILE|-", help="The request: text, a file, or standard input."
)
@click.option("--grpc", is_flag=True, help="Send it as tensors over gRPC; --data is a JSON object of arrays.")
@json_option
@click.pass_obj
def score(session: Session, name: str, data: str, *, grpc: bool, as_json: bool) -> None:
    """Send one request to NAME through the router, with its primary key, and print the answer."""
    body = _body(data)
    if grpc:
        _over_grpc(session, name, body, as_json=as_json)
    else:
        _over_http(session, name, body, as_json=as_json)


def _over_http(session: Session, name: str, body: bytes, *, as_json: bool) -> None:
    answer = session.client.score(name, body)
    text = answer.body.decode(errors="replace")
    if as_json:
        print_json({"status": answer.status, "headers": dict(answer.headers), "body": text})
    elif answer.status < _CLIENT_ERROR:
        click.echo(text)
    if answer.status >= _CLIENT_ERROR:
        if as_json:
            raise click.exceptions.Exit(1 if answer.status < _SERVER_ERROR else 2)
        raise _refused(name, answer.status, text)


def _over_grpc(session: Session, name: str, body: bytes, *, as_json: bool) -> None:
    try:
        inputs = json.loads(body)
    except ValueError as wrong:
        raise click.BadParameter(f"not JSON: {wrong}", param_hint="--data") from wrong
    if not isinstance(inputs, dict):
        raise click.BadParameter(
            'over gRPC, give a JSON object of arrays: {"data": [[1, 2]]}', param_hint="--data"
        )
    outputs = {
        output: tensor.tolist() for output, tensor in session.client.infer(name, inputs).outputs.items()
    }
    print_json(outputs) if as_json else click.echo(json.dumps(outputs))


def _refused(name: str, status: int, text: str) -> ModelyardError:
    from modelyard.api import SystemError_, UserError

    kind = UserError if status < _SERVER_ERROR else SystemError_
    return kind(f"HTTP {status}: {text}", place=f"service {name}", remedy=f"look into `engine logs {name}`")


def _body(data: str) -> bytes:
    if data == "-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        path = Path(data[1:])
        if not path.is_file():
            raise click.BadParameter(f"no such file: {path}", param_hint="--data")
        return path.read_bytes()
    return data.encode()
