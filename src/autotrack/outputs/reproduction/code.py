"""The code of a run: commit, patch and untracked files, as far as they were recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autotrack.outputs.reproduction.gaps import Gap, named
from autotrack.query.facets import Section

if TYPE_CHECKING:
    from autotrack.query.files import Artifact
    from autotrack.query.records import Record

PATCH = "git/changes.patch"
UNTRACKED = "git/untracked/"
_SECTIONS = re.compile(rb"(?m)^(?=diff --git )")


@dataclass(frozen=True)
class Code:
    """The recorded code. `patch` is None if the commit was unchanged, or if no patch was kept.

    `root` is the path of the repository, `entry_point` the script relative to it, with the SHA-256 `script_digest`.
    `incomplete` names the files of which hunks were withheld.
    """

    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    root: str = ""
    entry_point: str | None = None
    script_digest: str | None = None
    patch: Artifact | None = None
    untracked: Mapping[str, Artifact] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()

    def patch_bytes(self) -> bytes:
        """The patch; empty if there is none."""
        return b"" if self.patch is None else self.patch.read()


def code_of(record: Record) -> tuple[Code, list[Gap]]:
    """Return the code that was recorded with `record`, and the gaps in it."""
    git = _git(record)
    process: Mapping[str, Any] = record.environment.get("process") or {}
    patch = _kept(record, PATCH) if git.get("dirty") else None
    files = {
        artifact.name.removeprefix(UNTRACKED): artifact
        for artifact in record.artifacts
        if artifact.name.startswith(UNTRACKED) and artifact.stored and artifact.kind == "environment"
    }
    untracked = {name: file for name, file in files.items() if _is_among(name, git.get("untracked") or [])}
    withheld = [str(place) for place in git.get("withheld") or []]
    code = Code(
        commit=git.get("commit"),
        branch=git.get("branch"),
        remote=git.get("remote"),
        root=str(git.get("root") or ""),
        entry_point=git.get("entry_point"),
        script_digest=process.get("script_digest"),
        patch=patch,
        untracked=untracked,
        incomplete=tuple(dict.fromkeys(place.partition(" @@")[0] for place in withheld)),
    )
    return code, list(_gaps(git, process, code, withheld))


def sections(patch: bytes) -> dict[bytes, bytes]:
    """The patch of each file by its heading line."""
    return {part.partition(b"\n")[0]: part for part in _SECTIONS.split(patch) if part.strip()}


def _git(record: Record) -> Section:
    """The recorded state of the code, or the reason why it is unavailable; empty if neither was recorded."""
    found = record.environment.get("git")
    return Section({}) if found is None else found


def _kept(record: Record, name: str) -> Artifact | None:
    found = next((artifact for artifact in record.artifacts if artifact.name == name), None)
    return found if found is not None and found.stored and found.kind == "environment" else None


def _is_among(name: str, listed: Sequence[str]) -> bool:
    return any(name == path or (path.endswith("/") and name.startswith(path)) for path in listed)


def _gaps(git: Section, process: Mapping[str, Any], code: Code, withheld: list[str]) -> Iterator[Gap]:
    if not git:
        yield from _gaps_without_git(git, process)
        return
    if code.commit is None:
        yield Gap("code", "the repository had no commit yet")
    if git.unavailable:
        yield Gap("code", git.unavailable)
    yield from _gaps_in_changes(git, code, withheld)
    if process.get("script") and code.entry_point is None:
        yield Gap("code", f"the script {process['script']} lay outside the repository; its text was not kept")
    modules = git.get("submodules") or []
    if modules:
        listed = named(f"{module.get('path')} at {str(module.get('commit'))[:10]}" for module in modules)
        yield Gap("code", f"submodules are not filled in: {listed} (git submodule update --init)")


def _gaps_without_git(git: Section, process: Mapping[str, Any]) -> Iterator[Gap]:
    """Yield the gaps of a run of which neither commit nor changes were recorded."""
    yield Gap("code", "no state of the code was recorded" + (f": {git.unavailable}" if git.unavailable else ""))
    if process.get("script"):
        digest = process.get("script_digest")
        known = f" (SHA-256 {digest})" if digest else ""
        yield Gap("code", f"the script was {process['script']}{known}; its text was not kept")


def _gaps_in_changes(git: Section, code: Code, withheld: list[str]) -> Iterator[Gap]:
    """Yield what is missing of the uncommitted changes and the untracked files."""
    for name, reason in (("too_large", "too large"), ("filtered", "only known to git through a filter")):
        if git.get(name):
            yield Gap("code", f"the changes of {named(git[name])} are not in the patch: {reason}")
    changed = git.get("changed") or []
    if changed and code.patch is None and not withheld:
        yield Gap("code", f"uncommitted changes were not kept: {named(changed)}")
    if withheld:
        yield Gap("code", f"withheld from the patch, because of a likely secret: {named(withheld)}")
    lost = [path for path in git.get("untracked") or [] if not _has_content(path, code.untracked)]
    if lost:
        yield Gap("code", f"untracked files were there whose content was not kept: {named(lost)}")


def _has_content(path: str, kept: Mapping[str, Artifact]) -> bool:
    return any(name.startswith(path) for name in kept) if path.endswith("/") else path in kept
