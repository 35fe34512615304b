"""The command line of a run: arguments, working folder and environment, relative to the repository."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from autotrack.environment.redaction import MASK
from autotrack.outputs.reproduction.gaps import Gap, named

if TYPE_CHECKING:
    from autotrack.query.records import Record

# Variables that name paths or the user of that machine, so that a command must not repeat them.
_PLACES = frozenset(
    {
        "CONDA_DEFAULT_ENV", "CONDA_PREFIX", "CUDA_HOME", "JUPYTERHUB_USER", "LD_LIBRARY_PATH", "LD_PRELOAD",
        "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHON_BASIC_REPL", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV",
    }
)  # fmt: skip
_RANK = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE")


@dataclass(frozen=True)
class ReproducedCommand:
    """A command line: `argv`, `folder` relative to the repository's root ("." is the root), variables in `env`."""

    argv: tuple[str, ...] = ()
    folder: str = "."
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The command for a shell, to be run in `folder`."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        return " ".join([*settings, shlex.join(self.argv)])


def command_of(record: Record, root: str) -> tuple[ReproducedCommand, list[Gap]]:
    """Return the command line that started the run, and the gaps in it."""
    process = record.environment.get("process")
    if not process:
        why = process.unavailable if process is not None else None
        return ReproducedCommand(), [Gap("command", "the command line was not recorded" + (f": {why}" if why else ""))]
    cwd = str(process.get("cwd") or "")
    argv = _argv([str(word) for word in process.get("command") or process.get("argv") or ()], process, cwd, root)
    folder = _inside(cwd, root)
    recorded: Mapping[str, str] = process.get("env") or {}
    env = {
        name: str(value)
        for name, value in recorded.items()
        if name not in _PLACES and not name.startswith("AUTOTRACK_") and value != MASK
    }
    return ReproducedCommand(argv, folder or ".", env), list(_gaps(record, process, argv, cwd, root, folder))


def _argv(words: Sequence[str], process: Mapping[str, Any], cwd: str, root: str) -> tuple[str, ...]:
    if not words:
        return ()
    first, *rest = words
    executable = process.get("executable")  # absent if the Python process recorded nothing itself
    if first == executable or PurePath(first).name.startswith("python"):
        first = "python"
    if first == "python" and executable and rest and PurePath(rest[0]).parent == PurePath(str(executable)).parent:
        first, rest = PurePath(rest[0]).name, rest[1:]  # a program that came with a package
    return (first, *(_from(cwd, word, root) for word in rest))


def _from(cwd: str, word: str, root: str) -> str:
    """An absolute path inside the repository as seen from the working folder; everything else as it is."""
    if os.path.isabs(word) and _inside(word, root) is not None and _inside(cwd, root) is not None:
        return os.path.relpath(word, cwd)
    return word


def _inside(path: str, root: str) -> str | None:
    if not root or not path or not PurePath(path).is_relative_to(root):
        return None
    return os.path.relpath(path, root)


def _gaps(record: Record, process: Any, argv: Sequence[str], cwd: str, root: str, folder: str | None) -> Iterator[Gap]:
    if not argv:
        yield Gap("command", "the arguments were not recorded")
    if cwd and root and folder is None:
        yield Gap("command", f"it ran in {cwd}, outside the repository")
    outside = [path for word in argv[1:] if os.path.isabs(path := word.rpartition("=")[2]) and "/" in path[1:]]
    if outside:
        yield Gap("command", f"arguments name paths of that machine: {named(outside)}")
    if process.masked:
        yield Gap("command", f"withheld, because they look like secrets: {named(process.masked)}")
    places = [name for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "LD_PRELOAD") if (process.get("env") or {}).get(name)]
    if places:
        yield Gap("command", f"set on that machine to its own folders: {named(places)}")
    if process.get("stdin") in ("pipe", "file"):
        yield Gap("input", f"what the program may have read from standard input (a {process['stdin']}) was not kept")
    notebook = record.environment.get("notebook")
    if notebook:
        place = f" {notebook['path']}" if notebook.get("path") else ""
        yield Gap("command", f"it ran in a notebook{place}: the order in which cells were run is not part of a command")
    ranks = [f"{name}={value}" for name in _RANK if (value := (process.get("env") or {}).get(name))]
    if ranks:
        yield Gap("command", f"this is one of several processes, as a launcher started it: {named(ranks)}")
