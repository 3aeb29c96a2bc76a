"""Keys: what makes two environments the same. Pure.

The spec key names what was asked for, the lock key (in `locks`) names what it became. A change of
either rule is a new key version: old entries are then simply never hit.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments.interpreters import Interpreter

KEY_VERSION = 1
_USER = re.compile(r"(?<=://)[^/\s]*@")
_TOKEN = re.compile(r"(https?://[^\s'\"]*?)/t/[^/\s'\"]+")
"""What an address may hold that is nobody else's business: `user:password@`, and conda's `/t/<token>/`."""


def spec_key(spec: EnvironmentSpec, interpreter: Interpreter, runtime_digest: str) -> str:
    """Return the hex key of a specification on this interpreter; variables do not count."""
    return digest(
        {
            "kind": "spec",
            "version": KEY_VERSION,
            "platform": f"{platform.system()}-{platform.machine()}".lower(),
            "interpreter": base(interpreter),
            "runtime": runtime_digest,
            "base": spec.base,
            "requirements": asked(spec),
            "conda": normalised_conda(spec.conda),
            "docker_steps": spec.docker_steps,
            **locked(spec),
        }
    )


def base(interpreter: Interpreter) -> dict[str, str]:
    """Give what an environment's binaries depend on; where the interpreter lies is not part of it."""
    return {"version": interpreter.version, "abi": interpreter.abi, "libc": interpreter.libc}


def asked(spec: EnvironmentSpec) -> list[str]:
    """Write in one way which packages of pip a specification asks for, those of its lock file among them."""
    locked = spec.lock_file.packages if spec.lock_file else ()
    return normalised((*spec.requirements, *(package.line for package in locked)))


def locked(spec: EnvironmentSpec) -> dict[str, object]:
    """Give what a lock file adds to a key; nothing where there is none, so that other keys stay what they were."""
    return {"lock_file": attrs.asdict(spec.lock_file)} if spec.lock_file else {}


def normalised(lines: Iterable[str]) -> list[str]:
    """Write requirements in one way: canonical, sorted, each once."""
    return sorted({str(parsed) for line in lines if (parsed := parse(line)) is not None})


def normalised_conda(conda: Mapping[str, object] | None) -> object:
    """Write a conda file in one way: its own name, the order of dependencies and credentials do not count."""
    if conda is None:
        return None
    return {name: _plain(part) for name, part in conda.items() if name not in ("name", "prefix")} | (
        {"dependencies": _in_order(wanted)} if isinstance(wanted := conda.get("dependencies"), list) else {}
    )


def public_address(text: str) -> str:
    """Take users, passwords and tokens out of the addresses in a text."""
    return _TOKEN.sub(r"\1", _USER.sub("", text))


def _plain(value: object) -> object:
    if isinstance(value, str):
        return public_address(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _in_order(wanted: list[object]) -> list[object]:
    """Sort dependencies, and the requirements of pip below them."""
    parts = [
        {name: _in_order(part) if isinstance(part, list) else _plain(part) for name, part in one.items()}
        if isinstance(one, Mapping)
        else _plain(one)
        for one in wanted
    ]
    return sorted(parts, key=canonical)


def parse(line: str) -> Requirement | None:
    """Read one PEP 508 line into its canonical form; None for a blank line or a comment."""
    text = line.split(" #", 1)[0].strip()
    if not text or text.startswith("#"):
        return None
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise EnvironmentUnsolvable(
            f"{public_address(text)!r} is not a requirement: {str(error).splitlines()[0]}",
            place="environment.requirements",
            remedy="write `name`, `name==1.2` or `name[extra]>=1`; options such as index addresses belong"
            " in uv's own settings",
        ) from error
    if requirement.url and requirement.url.lower().startswith("file:"):
        raise EnvironmentUnsolvable(
            f"{text!r} names a file, which may change under its key",
            place="environment.requirements",
            remedy="put the wheel into a folder named by UV_FIND_LINKS and ask for its version",
        )
    if requirement.url and "@" in urlsplit(requirement.url).netloc:
        raise EnvironmentUnsolvable(
            f"{public_address(text)!r} has credentials in its address, which would be stored and shown",
            place="environment.requirements",
            remedy="ask for it by name, and name its index in UV_INDEX with UV_INDEX_<NAME>_USERNAME and"
            " UV_INDEX_<NAME>_PASSWORD",
        )
    requirement.name = canonicalize_name(requirement.name)
    requirement.extras = {canonicalize_name(extra) for extra in requirement.extras}
    return requirement


def explain_miss(old: EnvironmentSpec | None, new: EnvironmentSpec) -> str:
    """Say which input makes `new` another environment than `old`: `requirements: +scipy==1.2`."""
    if old is None:
        return "first environment of this service"
    reasons = changes(old, new)
    return "; ".join(reasons) or "same specification; the interpreter, the runtime or the cache changed"


def explain_nearest(known: Iterable[EnvironmentSpec], new: EnvironmentSpec) -> str:
    """Say which inputs make `new` another environment than the nearest of those known."""
    reasons = [changes(one, new) for one in known]
    if not reasons:
        return "no environment was built before"
    nearest = min(reasons, key=lambda found: (len(found), sum(map(len, found)), found))
    return "; ".join(nearest) or "same specification; the interpreter, the runtime or the cache changed"


def changes(old: EnvironmentSpec, new: EnvironmentSpec) -> list[str]:
    """Say of each input in which the two differ how it changed; variables do not count."""
    before, after = asked(old), asked(new)
    parts = [f"+{one}" for one in after if one not in before]
    parts += [f"-{one}" for one in before if one not in after]
    reasons = [f"requirements: {' '.join(parts)}"] if parts else []
    if not reasons and locked(old) != locked(new):
        reasons.append("lock_file: other hashes, or for other machines")
    for name in ("python", "base", "conda", "docker_steps", "dockerfile"):
        was, now = getattr(old, name), getattr(new, name)
        differ = normalised_conda(was) != normalised_conda(now) if name == "conda" else was != now
        if differ:
            reasons.append(f"{name}: {_shown(was)} -> {_shown(now)}")
    return reasons


def digest(value: object) -> str:
    """Return the hex SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: object) -> bytes:
    """Write a value as JSON in its one canonical form: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _shown(value: object) -> str:
    if value is None or value == ():
        return "default"
    return value if isinstance(value, str) else "changed"
