"""Facts that GitPython reads from a repository's files: available without git, and where git refuses to run."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from autotrack.environment.facts import Absent, Unavailable

if TYPE_CHECKING:
    from git import Repo

_OBJECT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?$")
_UNREADABLE = (OSError, ValueError, TypeError, AssertionError, IndexError, configparser.Error)


def find_repository(folder: Path, *, above: bool = True) -> Repo:
    """Return the innermost repository that contains `folder`; with `above=False`, the one whose root it is.

    The caller closes it.
    `Absent` if there is none, `Unavailable` if there is one that cannot be read.
    """
    from git import GitError, Repo

    if "GIT_COMMON_DIR" in os.environ:
        raise Unavailable("the repository is not read: GIT_COMMON_DIR names another one")
    try:
        repo = Repo(folder, search_parent_directories=above, expand_vars=False)
    except (GitError, *_UNREADABLE) as error:
        folders = (folder, *folder.parents) if above else (folder,)
        broken = next((place / ".git" for place in folders if os.path.lexists(place / ".git")), None)
        if broken is None:
            raise Absent(f"{folder} is not in a git repository") from error
        raise Unavailable(f"{broken} cannot be read as a git repository") from error
    # GitPython's own pattern matches SHA-1 only; with it the references of SHA-256 repositories cannot be read.
    repo.re_hexsha_only = _OBJECT
    return repo


def kind(repo: Repo) -> str:
    """Return the kind of repository: "checkout", "worktree" (a linked one), "submodule" or "bare"."""
    if repo.bare:
        return "bare"
    if os.path.realpath(repo.git_dir) != os.path.realpath(repo.common_dir):
        return "worktree"
    return "submodule" if repo.has_separate_working_tree() and "modules" in Path(repo.git_dir).parts else "checkout"


def read_head(repo: Repo) -> tuple[str | None, str | None]:
    """The commit and the branch that are checked out: no commit before the first one, no branch if detached.

    Both are None if the repository keeps its references in a way that only git can read.
    """
    return _commit(repo), _branch(repo)


def read_remote(repo: Repo, branch: str | None) -> str | None:
    """The URL of the remote that `branch` follows, else of `origin`, else of the first one there is.

    `Unavailable` if the configuration cannot be read.
    """
    try:
        urls = {remote.name: getattr(remote, "url", None) for remote in repo.remotes}
        follows = repo.config_reader().get_value(f'branch "{branch}"', "remote", "origin")
    except _UNREADABLE as error:
        raise Unavailable(f"the remotes are not known: {error}") from error
    return next((url for url in (urls.get(str(follows)), urls.get("origin"), *urls.values()) if url), None)


def submodule_paths(repo: Repo) -> list[str]:
    """Return the paths of the submodules relative to the root; `Unavailable` if `.gitmodules` cannot be read.

    Only that file is read: `Repo.submodules` would have git read the commit's tree.
    """
    from git import GitConfigParser

    listing = Path(repo.working_dir, ".gitmodules")
    if not listing.is_file():
        return []
    try:
        parser = GitConfigParser(str(listing), read_only=True, merge_includes=False)
        return [str(parser.get(name, "path")) for name in parser.sections() if parser.has_option(name, "path")]
    except _UNREADABLE as error:
        raise Unavailable(f"the submodules are not known: {error}") from error


def _branch(repo: Repo) -> str | None:
    try:
        name = str(repo.head.reference.name)
    except _UNREADABLE:
        return None
    # In a repository with reference tables (reftable) the file HEAD is a stub that names this branch.
    return None if name == ".invalid" else name


def _commit(repo: Repo) -> str | None:
    # Not `repo.head.commit`, for which GitPython starts a git process that stays alive.
    try:
        return str(repo.head.dereference_recursive(repo, "HEAD"))
    except _UNREADABLE:
        return None
