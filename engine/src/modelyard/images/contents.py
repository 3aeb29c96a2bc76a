"""What the layers of an image hold together, as far as it tells which Pythons are there. Pure.

Layers are read from the lowest up; each name that comes again hides what lay below it.
"""

from __future__ import annotations

import posixpath

import attrs

from modelyard.api import ImageUnbuildable

OPAQUE = ".wh..wh..opq"
"""In a folder: nothing of the layers below shows in it."""
WHITEOUT = ".wh."
MOST_NAMES = 1_000_000
"""Links and files that are remembered; an image of more is no base to build upon."""
_MOST_LINKS = 40  # the kernel's own bound


@attrs.frozen
class Traits:
    """What the bytes of a file told: every release of Python named in it, and the glibc that it is.

    Of a database of packages it is the `text`, unless that was longer than is read: then `cut` is true.
    """

    pythons: tuple[str, ...] = ()
    glibc: str = ""
    musl: bool = False
    text: bytes = b""
    cut: bool = False


@attrs.define
class Contents:
    """The links of an image, and the files that were looked into, by path without the leading slash."""

    links: dict[str, str] = attrs.field(factory=dict)
    files: dict[str, Traits] = attrs.field(factory=dict)
    text_bytes: int = 0
    """Of every text that was ever added: what is held is less."""

    def add_link(self, path: str, target: str) -> None:
        """Remember a symbolic link."""
        self.files.pop(path, None)
        self.links[path] = target
        self._check_size()

    def add_file(self, path: str, traits: Traits | None) -> None:
        """Remember a file, or, without traits, that whatever was at its path is hidden."""
        self.links.pop(path, None)
        self.files.pop(path, None)
        if traits is not None:
            self.files[path] = traits
            self.text_bytes += len(traits.text)
            self._check_size()

    def add_hard_link(self, path: str, target: str) -> None:
        """Remember another name of a file of the same layer."""
        self.add_file(path, self.files.get(target))

    def hide(self, path: str, *, below_only: bool = False) -> None:
        """Forget a path with all below it, as a whiteout demands."""
        for known in (self.links, self.files):
            gone = [one for one in known if one.startswith(f"{path}/") or (one == path and not below_only)]
            for one in gone:
                del known[one]

    def resolve(self, path: str) -> str:
        """Follow every link on the way to a path; links that go round end where they began."""
        done: list[str] = []
        waiting = _parts(path)
        followed = 0
        while waiting:
            part = waiting.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            target = self.links.get("/".join([*done, part]))
            if target is None or followed == _MOST_LINKS:
                done.append(part)
                continue
            followed += 1
            done = [] if target.startswith("/") else done
            waiting = [*_parts(target), *waiting]
        return "/".join(done)

    def traits(self, path: str) -> Traits | None:
        """Give what is known of the file that a path leads to; None = no such file was looked into."""
        return self.files.get(self.resolve(path))

    def _check_size(self) -> None:
        if len(self.links) + len(self.files) > MOST_NAMES:
            raise ImageUnbuildable(
                f"the base image has more than {MOST_NAMES} links",
                remedy="name a smaller image in environment.base",
            )


def cleaned(name: str) -> str:
    """Write a tar's name for a path plainly: `./usr/bin/` is `usr/bin`."""
    return posixpath.normpath(f"/{name}").lstrip("/")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
