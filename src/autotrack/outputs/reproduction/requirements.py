"""The packages of a run as lines of a requirements file, each with its exact version."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from autotrack.outputs.reproduction.gaps import Gap, named

if TYPE_CHECKING:
    from autotrack.query.files import Artifact
    from autotrack.query.records import Record

LOCK = "packages/"
_BUILD_PLACES = ("feedstock_root", "/croot/", "conda-bld", "/work/ci_py")  # where conda's own packages were built
_COMMIT = re.compile(r"(?P<url>.+)@(?P<commit>[0-9a-f]{7,64})")
_LOCAL = re.compile(r"[^+]+\+(?P<label>\w+)")


@dataclass(frozen=True)
class LockFile:
    """The lock file beside the recorded code: its name, path, SHA-256, and its content if it was kept."""

    name: str
    path: str
    digest: str
    content: Artifact | None = None


@dataclass(frozen=True)
class Requirements:
    """`lines` of a requirements file; a package that cannot be installed again is a comment. `lock` may be None."""

    lines: tuple[str, ...] = ()
    lock: LockFile | None = None

    @property
    def text(self) -> str:
        """The requirements file."""
        return "".join(f"{line}\n" for line in self.lines)


def requirements_of(record: Record, root: str) -> tuple[Requirements, list[Gap]]:
    """Return the packages of the run and the gaps in them. `root` is the recorded path of the code's repository."""
    recorded = record.environment.get("packages")
    if not recorded:
        why = recorded.unavailable if recorded is not None else None
        return Requirements(), [
            Gap("packages", "the installed packages were not recorded" + (f": {why}" if why else ""))
        ]
    urls: Mapping[str, str] = recorded.get("direct_urls") or {}
    versions = {name: version for name, version in recorded.items() if isinstance(version, str)}
    lines: list[str] = []
    local: list[str] = []
    for name, version in sorted(versions.items()):
        line = _line(name, version, urls.get(name, ""), root)
        if line.startswith("#"):
            local.append(f"{name} {version} from {urls[name]}")
        lines.append(line)
    lock = _lock_of(record, recorded.get("lock_file"))
    return Requirements(tuple(lines), lock), list(_gaps(local, versions, lock, root))


def _line(name: str, version: str, url: str, root: str) -> str:
    if not url or any(place in url for place in _BUILD_PLACES):
        return f"{name}=={version}"
    if url.startswith("file:"):
        inside = _relative(url.removeprefix("file://"), root)
        return f"# {name}=={version}: from {url}" if inside is None else f"-e ./{inside}" if inside != "." else "-e ."
    commit = _COMMIT.fullmatch(url)
    if commit:
        address = commit["url"] if commit["url"].startswith("git+") else f"git+{commit['url']}"
        return f"{name} @ {address}@{commit['commit']}"
    return f"{name} @ {url}"


def _relative(path: str, root: str) -> str | None:
    if not root or not PurePosixPath(path).is_relative_to(root):
        return None
    return os.path.relpath(path, root)


def _lock_of(record: Record, found: Any) -> LockFile | None:
    if not isinstance(found, Mapping):
        return None
    name, digest = str(found.get("name")), str(found.get("digest"))
    kept = next((file for file in record.artifacts if file.name == f"{LOCK}{name}" and file.digest == digest), None)
    return LockFile(name, str(found.get("path")), digest, kept if kept is not None and kept.stored else None)


def _gaps(local: list[str], versions: Mapping[str, str], lock: LockFile | None, root: str) -> Iterator[Gap]:
    if local:
        yield Gap("packages", f"installed from a folder of that machine, so no index has them: {named(local)}")
    labelled = [f"{name} {version}" for name, version in sorted(versions.items()) if _LOCAL.fullmatch(version)]
    if labelled:
        yield Gap("packages", f"builds that the default index may not have: {named(labelled)}")
    if lock is not None and lock.content is None and _relative(lock.path, root) is None:
        yield Gap("packages", f"the lock file {lock.path} lay outside the repository; its content was not kept")
