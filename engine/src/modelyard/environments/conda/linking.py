"""Link fetched packages into a prefix with rattler: what the program in `__main__` does.

rattler goes on in threads of its own after whoever asked was cancelled; a process can be ended whole.
Its arguments are the path of a job (JSON) and the pid of who asked, with whom it ends. The last line of its
output says what went wrong; its status is 0, `REFUSED` for a package that must not be linked, or 1.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import attrs

from modelyard.environments.conda.archives import Member, below_links, wrong_with
from modelyard.environments.conda.locks import CondaPackage

if TYPE_CHECKING:
    from rattler import RepoDataRecord

PROGRAM = "modelyard.environments.conda"
REFUSED = 3
_LOOK_SECONDS = 0.2
_SECTIONS: tuple[Literal["info", "pkg"], ...] = ("info", "pkg")
_INFO = frozenset({"info/files", "info/paths.json", "info/link.json"})


@attrs.frozen
class Job:
    """Link these archives into `tree`, for `prefix`; `cache` is an empty folder on the same disk."""

    tree: Path
    prefix: str
    cache: Path
    subdir: str
    packages: tuple[CondaPackage, ...]
    archives: tuple[Path, ...]

    def write(self, path: Path) -> None:
        """Write it for the program."""
        values = attrs.asdict(self)
        values |= {"tree": str(self.tree), "cache": str(self.cache), "archives": [*map(str, self.archives)]}
        path.write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read it in the program."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            tree=Path(values["tree"]),
            prefix=values["prefix"],
            cache=Path(values["cache"]),
            subdir=values["subdir"],
            packages=tuple(CondaPackage(**one) for one in values["packages"]),
            archives=tuple(map(Path, values["archives"])),
        )


class RefusedError(Exception):
    """A package that must not be linked."""


async def link(job: Job) -> None:
    """Look into every archive, then link them all; scripts of packages are not run."""
    from rattler import Subdir, install
    from rattler.package_cache import PackageCache

    members: dict[str, list[Member]] = {}
    for package, archive in zip(job.packages, job.archives, strict=True):
        try:
            members[package.shown] = await _looked_into(package, archive)
        except (OSError, RuntimeError) as error:
            raise RefusedError(f"{package.shown} must not be laid out: it cannot be read: {error}") from error
    if (wrong := below_links(members)) is not None:
        raise RefusedError(wrong)
    await install(
        [_record(one, path) for one, path in zip(job.packages, job.archives, strict=True)],
        target_prefix=job.tree,
        package_cache=PackageCache(job.cache),
        platform=Subdir(job.subdir),
        installed_packages=[],
        execute_link_scripts=False,
        show_progress=False,
        alternative_target_prefix=job.prefix,
    )


async def _looked_into(package: CondaPackage, path: Path) -> list[Member]:
    from rattler.package_streaming import PackageArchive

    archive = await PackageArchive.from_path(path)
    members: list[Member] = []
    info: dict[str, bytes] = {}
    for section in _SECTIONS:
        async for entry in archive.stream(section):
            members.append(member := _member(entry))
            if member.name in _INFO:  # in either section: both are extracted to one folder
                info[member.name] = await entry.read()
    if (wrong := wrong_with(members, info)) is not None:
        raise RefusedError(f"{package.shown} must not be laid out: {wrong}")
    return [one for one in members if not one.name.startswith("info/")]


def _member(entry: Any) -> Member:
    target = entry.link_target if entry.is_symlink or entry.is_hardlink else None
    # A name that goes out of the folder keeps its form; rattler refuses most of them by itself.
    return Member(str(PurePosixPath(entry.name)), target, hard=entry.is_hardlink)


def _record(package: CondaPackage, archive: Path) -> RepoDataRecord:
    from rattler import PackageRecord, RepoDataRecord
    from rattler.package import BuildString

    made = PackageRecord(
        name=package.name,
        version=package.version,
        build=BuildString(package.build),
        build_number=package.build_number,
        subdir=package.subdir,
        noarch=package.noarch or None,  # type: ignore[arg-type]  # one of those that a lock may have
        depends=list(package.depends),
        constrains=list(package.constrains),
        sha256=bytes.fromhex(package.sha256),
        size=package.size or None,
        python_site_packages_path=package.site_packages or None,
    )
    return RepoDataRecord(made, package.file, archive.as_uri(), package.channel)


def main(arguments: Sequence[str]) -> int:
    """Do the job; the last line on the output says what went wrong."""
    threading.Thread(target=_end_with, args=(int(arguments[1]),), daemon=True).start()
    try:
        asyncio.run(link(Job.read(Path(arguments[0]))))
    except RefusedError as error:
        print(error)  # noqa: T201  its output is how it answers
        return REFUSED
    except Exception as error:  # noqa: BLE001  whatever rattler raises is told by whoever started this
        print(f"{type(error).__name__}: {error}")  # noqa: T201  the same
        return 1
    return 0


def _end_with(parent: int) -> None:
    """Whoever asked may be killed: nobody would then remove what is still being written."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
