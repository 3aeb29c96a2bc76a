"""Ask a credential helper: a program of Docker's protocol that keeps passwords elsewhere.

The server's name goes in on stdin, JSON comes out on stdout. No shell, a time limit, and neither output
ever enters an error: both may hold the secret.
"""

from __future__ import annotations

import asyncio
import json
import re

from modelyard.api import Secret, Unavailable, UserError

from modelyard_registry.distribution.logins.credentials import TOKEN_USER, Credentials

TIME_LIMIT_SECONDS = 15.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# the protocol has no code for "I know nobody there", only this sentence
_NOBODY = b"credentials not found"


async def ask_helper(
    helper: str, login: str, limit_seconds: float = TIME_LIMIT_SECONDS
) -> Credentials | None:
    """Give what the helper knows about a server, None when it knows nobody there."""
    if not _NAME.fullmatch(helper):
        raise UserError(
            f"{helper!r} is no name of a credential helper",
            remedy="mend credHelpers or credsStore in Docker's config.json",
        )
    program = f"docker-credential-{helper}"
    code, output = await _run(program, login, limit_seconds)
    if code != 0 and _NOBODY in output:
        return None
    if code != 0:
        raise _failed(program, login, f"it ended with code {code}")
    try:
        answer = json.loads(output)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _failed(program, login, "its answer is not the protocol's") from None
    return Credentials(username, Secret(secret), is_identity_token=username == TOKEN_USER)


async def _run(program: str, login: str, limit_seconds: float) -> tuple[int, bytes]:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            program, "get", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as failure:
        raise _failed(program, login, failure.strerror or "it cannot be started") from failure
    try:
        async with asyncio.timeout(limit_seconds):
            output, _ = await process.communicate(login.encode())
    except TimeoutError:
        raise _failed(program, login, f"it did not answer in {limit_seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output


def _failed(program: str, login: str, why: str) -> Unavailable:
    return Unavailable(
        f"the credential helper gives no password: {why}",
        place=f"{program} get, asked for {login}",
        remedy=f"try `echo {login} | {program} get` by hand, or take the helper out of Docker's config.json",
    )
