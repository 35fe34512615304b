"""The state of the code: commit, branch, remote, and the differences from the commit.

GitPython finds the repository and runs git so that git changes nothing (not even the index), reaches no network,
leaves no process behind and runs none of the programs that a configuration may name: hooks, filters, text
conversions, external diffs, file system monitors. A file whose content git only knows through a filter (Git LFS, say)
can thus not be compared; if it may have changed it is listed under `filtered`.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack.environment.checkout import find_repository, kind, read_head, read_remote, submodule_paths
from autotrack.environment.facts import Absent, Facts, Unavailable
from autotrack.environment.git_command import Git, load_gitpython

if TYPE_CHECKING:
    from git import Repo

LARGEST_FILE = 1 << 20
LARGEST_PATCH = 4 << 20
LARGEST_UNTRACKED = 16 << 20
MOST_PATHS = 1000
MOST_EXCLUDED = 500


@dataclass
class Status:
    """The result of `git status`: paths relative to the root, of tracked files that differ and of untracked ones."""

    commit: str | None = None
    branch: str | None = None
    changed: list[bytes] = field(default_factory=list)
    untracked: list[bytes] = field(default_factory=list)


def gather(
    folder: Path,
    *,
    script: Path | None = None,
    leave_out: Path | None = None,
    patch: bool = True,
    untracked: bool = False,
    limit: float = 10.0,
) -> Facts:
    """The git state of the code in `folder`; `Unavailable` if it is in no repository or cannot be read.

    The facts name the `commit`, `branch`, `root`, `entry_point` (the `script`, relative to the root), `remote`,
    `dirty`, the `changed` and `untracked` paths. With `patch`, the file `git/changes.patch` turns the commit into the
    tracked files as they are; with `untracked`, the contents of small untracked files are stored as `git/untracked/…`.
    Files in `leave_out` are ignored. `limit` is the time, in seconds, that git may take.
    """
    deadline = time.monotonic() + limit * 0.9
    load_gitpython()
    with find_repository(folder) as repo:
        root = Path(repo.working_dir)
        commit, branch = read_head(repo)
        data: dict[str, Any] = {
            "root": str(root), "kind": kind(repo), "commit": commit, "branch": branch,
            "detached": commit is not None and branch is None,
        }  # fmt: skip
        if script is not None and root in script.resolve().parents:
            data["entry_point"] = script.resolve().relative_to(root).as_posix()
        survey = _Survey(repo, leave_out, data, deadline)
        with survey.noting():
            data["remote"] = read_remote(repo, branch)
        if not repo.bare:
            with survey.noting():
                survey.run(patch=patch, untracked=untracked)
    if data["commit"] is None and data["branch"] is None:
        raise Unavailable("; ".join(survey.missing) or f"{root} has no commit and no branch")
    return Facts(data, survey.files, tuple(survey.missing))


class _Survey:
    """Fills `data`, `files` and `missing` by asking git about one repository."""

    def __init__(self, repo: Repo, leave_out: Path | None, data: dict[str, Any], deadline: float) -> None:
        self.data = data
        self.files: dict[str, bytes] = {}
        self.missing: list[str] = []
        self._repo = repo
        self._root = Path(repo.working_dir)
        self._deadline = deadline
        self._left_out = _relative(leave_out, self._root)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Suppress `Unavailable` in the block and add its message to `missing`."""
        try:
            yield
        except Unavailable as reason:
            self.missing.append(str(reason))

    def run(self, *, patch: bool, untracked: bool) -> None:
        git = Git(self._repo, self._deadline)
        status = self._status(git, every_file=untracked)
        self.data["commit"] = status.commit
        self.data["branch"] = status.branch
        self.data["detached"] = status.branch is None
        if status.changed:
            self.data["dirty"] = True
        self._list("changed", status.changed)
        self._list("untracked", status.untracked)
        if patch and status.changed:
            self._patch(git, status)
        if untracked:
            self._keep_untracked(status.untracked)
        submodules = self._submodules()
        self.data["dirty"] = bool(status.changed) or any(module["dirty"] for module in submodules)
        if submodules:
            self.data["submodules"] = submodules

    def _status(self, git: Git, *, every_file: bool = False) -> Status:
        output = git(
            "status", "--porcelain=v2", "-z", "--branch", "--no-renames", "--no-ahead-behind",
            "--ignore-submodules=dirty", f"--untracked-files={'all' if every_file else 'normal'}",
        )  # fmt: skip
        status = parse_status(output)
        status.changed = [path for path in status.changed if self._counts(path)]
        status.untracked = [path for path in status.untracked if self._counts(path)]
        return status

    def _counts(self, path: bytes) -> bool:
        if b".autotrack" in path.split(b"/"):
            return False
        left_out = self._left_out
        return left_out is None or not (path.rstrip(b"/") + b"/").startswith(left_out + b"/")

    def _submodules(self) -> list[dict[str, Any]]:
        """The submodules that are checked out; they have a state of their own that the outer status does not show."""
        found: list[dict[str, Any]] = []
        for path in submodule_paths(self._repo):
            with suppress(Absent), find_repository(self._root / path, above=False) as inner:
                if inner != self._repo:
                    found.append({"path": path, "commit": read_head(inner)[0], "dirty": self._is_dirty(inner)})
        for module in found:
            if module["dirty"]:
                self.missing.append(f"changes inside the submodule {module['path']} are not in the patch")
        return found

    def _is_dirty(self, inner: Repo) -> bool:
        return bool(self._status(Git(inner, self._deadline)).changed)

    def _list(self, name: str, paths: list[bytes]) -> None:
        self.data[name] = [_text(path) for path in paths[:MOST_PATHS]]
        if len(paths) > MOST_PATHS:
            self.missing.append(f"{len(paths) - MOST_PATHS} more {name} paths are not listed")

    def _patch(self, git: Git, status: Status) -> None:
        filtered = git.filtered(status.changed)
        large = [path for path in status.changed if path not in filtered and (self._size(path) or 0) > LARGEST_FILE]
        self._list_excluded("filtered", filtered, "only known to git through a filter, which is not run")
        self._list_excluded("too_large", large, f"larger than {LARGEST_FILE >> 20} MB")
        if len(filtered) + len(large) > MOST_EXCLUDED:
            self.missing.append("there is no patch: too many files would have to be left out of it")
            return
        output = git.diff(status.commit, leave_out=[*filtered, *large, *([self._left_out] if self._left_out else [])])
        if len(output) > LARGEST_PATCH:
            self.missing.append(f"the patch is not kept: {len(output) >> 20} MB")
        elif output:
            self.files["git/changes.patch"] = output

    def _list_excluded(self, name: str, paths: list[bytes], reason: str) -> None:
        if paths:
            self._list(name, paths)
            self.missing.append(f"{len(paths)} changed file(s) are not in the patch: {reason}")

    def _keep_untracked(self, paths: Iterable[bytes]) -> None:
        room, skipped = LARGEST_UNTRACKED, 0
        for path in paths:
            size = self._size(path)
            if size is None or size > min(room, LARGEST_FILE):
                skipped += 1
                continue
            try:
                self.files[f"git/untracked/{_text(path)}"] = self._path(path).read_bytes()
            except OSError:
                skipped += 1
            room -= size
        if skipped:
            self.missing.append(f"the contents of {skipped} untracked file(s) are not kept: too large or not readable")

    def _size(self, path: bytes) -> int | None:
        """The size of a regular file; None for anything else, which must not be opened."""
        try:
            state = self._path(path).lstat()
        except OSError:
            return None
        return state.st_size if stat.S_ISREG(state.st_mode) else None

    def _path(self, path: bytes) -> Path:
        return self._root / os.fsdecode(path)


def parse_status(output: bytes) -> Status:
    """The `Status` in the output of `git status --porcelain=v2 -z --branch --no-renames`.

    `Unavailable` if git reports an unknown branch, because its reference is damaged.
    """
    status = Status()
    for entry in output.split(b"\0"):
        kind, _, rest = entry.partition(b" ")
        if kind == b"#":
            name, _, value = _text(rest).partition(" ")
            if name == "branch.oid" and value != "(initial)":
                status.commit = value
            elif name == "branch.head" and value == "(unknown)":
                raise Unavailable("git cannot read what is checked out")
            elif name == "branch.head" and value != "(detached)":
                status.branch = value
        elif kind == b"1":
            status.changed.append(rest.split(b" ", 7)[7])
        elif kind == b"u":
            status.changed.append(rest.split(b" ", 9)[9])
        elif kind == b"?":
            status.untracked.append(rest)
    return status


def _relative(path: Path | None, root: Path) -> bytes | None:
    if path is None:
        return None
    resolved = path.resolve()
    return os.fsencode(resolved.relative_to(root).as_posix()) if root in resolved.parents else None


def _text(path: bytes) -> str:
    return path.decode("utf-8", errors="backslashreplace")
