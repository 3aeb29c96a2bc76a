"""Forms in request bodies: values with several per name, and the parts of a multipart body."""

from __future__ import annotations

import io
from typing import Any, Dict, Iterable, List, Tuple
from urllib.parse import parse_qsl, unquote

_Pairs = Iterable[Tuple[str, Any]]


URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class MultiDict(Dict[str, Any]):
    """A dict of first values that also knows the others, as Flask's does."""

    def __init__(self, pairs: _Pairs = ()) -> None:
        super().__init__()
        self._lists: dict[str, list[Any]] = {}
        for name, value in pairs:
            self._lists.setdefault(name, []).append(value)
            self.setdefault(name, value)

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # noqa: A002  # Flask's name
        """Return the first value, converted by `type`; the default where that fails."""
        if key not in self:
            return default
        try:
            return self[key] if type is None else type(self[key])
        except (ValueError, TypeError):
            return default

    def getlist(self, key: str) -> list[Any]:
        """Return all values of a name."""
        return list(self._lists.get(key, ()))

    def to_dict(self, flat: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002  # Flask's signature
        """Return a plain dict of first values, or of lists."""
        return dict(self) if flat else {name: list(values) for name, values in self._lists.items()}


class UploadedFile:
    """One file of a form."""

    def __init__(self, name: str, filename: str, content_type: str, data: bytes) -> None:
        self.name = name
        self.filename = filename
        self.content_type = self.mimetype = content_type
        self.stream = io.BytesIO(data)
        self.content_length = len(data)

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        return self.stream.read(size)

    def save(self, target: str) -> None:
        """Write the file to a path."""
        with open(target, "wb") as file:  # as users call it: a text path or a Path
            file.write(self.stream.getbuffer())


def query_of(query: bytes) -> MultiDict:
    """Read a query string or a body in its form."""
    return MultiDict(parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True))


def multipart(body: bytes, content_type: str) -> tuple[MultiDict, MultiDict]:
    """Return the fields and the files of a multipart body; a malformed part is left out."""
    boundary = options_of(content_type).get("boundary", "")
    fields: List[Tuple[str, Any]] = []
    files: List[Tuple[str, Any]] = []
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))[1:] if boundary else ():
        head, found, data = part.partition(b"\r\n\r\n")
        if part.startswith(b"--") or not found:
            continue
        headers = _headers(head)
        names = options_of(headers.get("content-disposition", ""))
        if "name" not in names:
            continue
        if "filename" in names:
            kind = headers.get("content-type", "application/octet-stream")
            files.append((names["name"], UploadedFile(names["name"], names["filename"], kind, data)))
        else:
            fields.append((names["name"], data.decode("utf-8", "replace")))
    return MultiDict(fields), MultiDict(files)


def options_of(header: str) -> dict[str, str]:
    """Return what follows the first `;` of a header: `name="value"` pairs."""
    found: dict[str, str] = {}
    rest = header.partition(";")[2]
    while rest:
        name, _, rest = rest.partition("=")
        name, rest = name.strip().lower(), rest.lstrip()
        if rest.startswith('"'):
            value, _, rest = rest[1:].partition('"')
            rest = rest.partition(";")[2]
        else:
            value, _, rest = rest.partition(";")
        if name.endswith("*"):
            name, value = name[:-1], unquote(value.rpartition("'")[2])
        found[name] = value.strip()
    return found


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
