"""What a conda file asks for: channels, match specifications, requirements of pip, a Python. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

import attrs

from modelyard.api import EnvironmentUnsolvable
from modelyard.environments.keys import normalised, parse, public_address

_PLACE = "environment.conda"
_KEYS = ("channels", "dependencies", "name", "prefix")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*", re.IGNORECASE)
_PIN = re.compile(r"=?=?(?P<version>\d+(\.\d+)*)(\.\*|\*)?")
_INDEX_OPTIONS = (
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--trusted-host",
    "--no-index",
    "-i",
    "-f",
)


@attrs.frozen
class Wanted:
    """One dependency: rattler's match specification, its channel's name apart, and where it was written."""

    text: str
    channel: str = attrs.field(default="", repr=False)
    place: str = attrs.field(default="", eq=False)

    @property
    def name(self) -> str:
        """The package's name."""
        return _NAME.match(self.text)[0].lower()  # type: ignore[index]  # it was read by rattler


@attrs.frozen
class CondaSpec:
    """A conda file, read; the order of channels counts, that of dependencies and pip lines does not.

    `channels` are as written, with what is secret in them; `python` is what `environment.python` asks for.
    """

    channels: tuple[str, ...] = attrs.field(repr=False)
    wanted: tuple[Wanted, ...]
    pip: tuple[str, ...] = ()

    @classmethod
    def read(cls, conda: Mapping[str, object], *, python: str | None = None) -> CondaSpec:
        """Read the parsed content of a conda file; `python` (`3.11`) holds where it names none.

        `name` and `prefix` are passed over, as conda does in an environment that has its own.
        Raises `EnvironmentUnsolvable` with the place of what cannot be read.
        """
        _refuse_unknown(conda)
        items = _list(conda, "dependencies")
        wanted = [_wanted(item, _at("dependencies", i)) for i, item in enumerate(items) if not _is_pip(item)]
        if python is not None:
            wanted.append(_python(python, wanted))
        pip = normalised(_pip_lines(items))
        ordered = sorted(set(wanted), key=lambda one: (one.text, one.channel))
        return cls(channels=_channels(conda), wanted=tuple(ordered), pip=tuple(pip))


def _at(key: str, index: int) -> str:
    return f"{_PLACE}.{key}[{index}]"


def _refuse_unknown(conda: Mapping[str, object]) -> None:
    for key in conda:
        if key in _KEYS:
            continue
        if key == "variables":
            remedy = "write them into `environment.variables`"
        else:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            remedy = f"did you mean `{near[0]}`?" if near else f"a conda file has {', '.join(_KEYS)}"
        raise EnvironmentUnsolvable(
            f"a conda file's `{key}` is not read here", place=f"{_PLACE}.{key}", remedy=remedy
        )


def _list(conda: Mapping[str, object], key: str) -> list[object]:
    value = conda.get(key)
    if value is None and key == "channels":
        return []
    if not isinstance(value, list | tuple):
        raise EnvironmentUnsolvable(
            f"a conda file has a list of `{key}`",
            place=f"{_PLACE}.{key}",
            remedy="write one item a line, each after a dash",
        )
    return list(value)


def _channels(conda: Mapping[str, object]) -> tuple[str, ...]:
    channels = _list(conda, "channels")
    for index, channel in enumerate(channels):
        if not isinstance(channel, str) or not channel.strip():
            raise EnvironmentUnsolvable(
                "a channel is a name or an address",
                place=_at("channels", index),
                remedy="write it as a text",
            )
    return tuple(str(channel).strip() for channel in channels)


def _is_pip(item: object) -> bool:
    return isinstance(item, Mapping) and set(item) == {"pip"}


def _wanted(item: object, place: str) -> Wanted:
    if not isinstance(item, str):
        raise _unread(str(type(item).__name__), "it is no text", place)
    channel, separator, text = item.strip().rpartition("::")
    if separator and (not channel or (":" in channel and "://" not in channel)):
        raise _unread(public_address(item), "what stands before `::` is a channel", place)
    return Wanted(_checked(text, place), channel, place)


def _checked(text: str, place: str) -> str:
    """Let rattler read a match specification, and return it in rattler's one spelling."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    if "://" in text:
        raise _unread(public_address(text), "packages come from channels, not from addresses", place)
    try:
        read = MatchSpec(text, extras=False, conditionals=False, flags=False)
    except InvalidMatchSpecError as error:
        raise _unread(text, str(error).splitlines()[0], place) from error
    if not _NAME.match(text) or (read.build or "").startswith("="):
        raise _unread(text, "it begins with a package's name, then a version", place)
    if read.channel is not None or read.subdir is not None:
        raise _unread(text, "the channel stands before it, as in `name::package`", place)
    return str(read)


def _unread(text: str, why: str, place: str) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"{text!r} is no conda dependency: {why}",
        place=place,
        remedy="write it as `numpy`, `numpy=1.26`, `numpy>=1.24,<2` or `channel::numpy`",
    )


def _python(asked: str, wanted: list[Wanted]) -> Wanted:
    """Ask for the Python of the specification, unless the conda file pins another."""
    for one in wanted:
        pin = _PIN.fullmatch(one.text.removeprefix("python").strip().partition(" ")[0])
        if one.name == "python" and pin is not None and not _agree(pin["version"], asked):
            raise EnvironmentUnsolvable(
                f"the conda file asks for Python {pin['version']}, `environment.python` for {asked}",
                place=one.place,
                remedy="remove one of the two",
            )
    return Wanted(_checked(f"python={asked}", "environment.python"), "", "environment.python")


def _agree(one: str, other: str) -> bool:
    """Compare by whole parts, as far as both go: 3.11 agrees with 3.11.4, not with 3.1."""
    pairs = zip(one.split("."), other.split("."), strict=False)
    return all(left == right for left, right in pairs)


def _pip_lines(items: list[object]) -> Iterator[str]:
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or not _is_pip(item):
            continue
        place = f"{_at('dependencies', index)}.pip"
        lines = item["pip"] or []
        if not isinstance(lines, list | tuple):
            raise EnvironmentUnsolvable(
                "`pip` has a list", place=place, remedy="write one requirement a line"
            )
        for number, line in enumerate(lines):
            yield _pip_line(line, f"{place}[{number}]")


def _pip_line(line: object, place: str) -> str:
    text = str(line).strip()
    if text.startswith("-"):
        raise _no_option(text, place)
    try:
        parse(text)
    except EnvironmentUnsolvable as error:
        raise EnvironmentUnsolvable(
            public_address(error.message), place=place, remedy=error.remedy
        ) from error.__cause__
    return text


def _no_option(text: str, place: str) -> EnvironmentUnsolvable:
    option = re.split(r"[\s=]", text, maxsplit=1)[0]
    if option in ("-r", "--requirement", "-c", "--constraint"):
        remedy = "write the file's lines into this list, or into `environment.requirements`"
    elif option.startswith(_INDEX_OPTIONS):
        remedy = "name indexes in uv's own settings (UV_DEFAULT_INDEX, UV_INDEX, UV_FIND_LINKS)"
    else:
        remedy = "write requirements alone; a source tree belongs into the service's code"
    return EnvironmentUnsolvable(f"pip's option `{option}` is not read here", place=place, remedy=remedy)
