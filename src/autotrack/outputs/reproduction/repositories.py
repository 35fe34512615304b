"""Running git commands in repositories on this machine, and finding the repository that has a commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from autotrack.exceptions import ReproductionError

# Variables that would point git at another repository, or make it start a program for every difference.
_FOREIGN = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_EXTERNAL_DIFF", "GIT_CONFIG", "GIT_TEMPLATE_DIR",
)  # fmt: skip
_PROTOCOLS = "file:git:http:https:ssh"


def git(*arguments: str, folder: Path | None = None) -> bytes:
    """Run git and return its output; `ReproductionError` with git's message if it fails or cannot be started.

    Git asks for no password, runs no hooks and uses no transport that is a program of the repository's choice.
    """
    quiet = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never")
    place = () if folder is None else ("-C", str(folder))
    try:
        done = subprocess.run(
            ["git", *place, *quiet, *arguments],
            check=False, stdin=subprocess.DEVNULL, capture_output=True, env=environment(),
        )  # fmt: skip
    except OSError as error:
        raise ReproductionError(f"git cannot be started: {error}") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise ReproductionError(f"git {arguments[0]} failed: {reason[-1] if reason else done.returncode}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment for git: that of the process without variables that redirect git, and without prompts."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C",
    }  # fmt: skip


def find_source(commit: str | None, root: str) -> Path | None:
    """A local repository that has the commit: the one it was recorded in, else the one around the current folder."""
    if commit is None:
        return None
    return next((place for place in _places(root) if has_commit(place, commit)), None)


def has_commit(repository: Path, commit: str) -> bool:
    """Whether the repository has the commit."""
    try:
        git("cat-file", "-e", f"{commit}^{{commit}}", folder=repository)
    except ReproductionError:
        return False
    return True


def _places(root: str) -> Iterator[Path]:
    if root and Path(root).is_dir():
        yield Path(root)
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / ".git").exists():
            yield folder
            return
