"""Default names of runs: readable and numbered consecutively, without access to the store."""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

from autotrack.place import Place

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_OF_SESSION = re.compile(r"-jvsc-[0-9a-f-]+$")  # what VS Code adds to a notebook's name


def numbered(place: Place, base: str) -> str:
    """`base` with the next number in `place`: `logreg-12`.

    Each base has a counter file: a process takes a number by appending one byte, whose position is the number. So any
    number of processes count without a lock. If the file cannot be written, a random suffix replaces the number.
    """
    safe = _UNSAFE.sub("-", base)[:80] or "run"
    try:
        place.names.mkdir(exist_ok=True)
        number = count(place.names / safe)
    except OSError:
        return f"{base}-{secrets.token_hex(3)}"
    return f"{base}-{number}"


def count(path: Path, *, create: bool = True) -> int:
    """Increment the counter file `path` and return its value, 1 at first; `OSError` if it cannot be written.

    Without `create` a missing file is an `OSError` too.
    """
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        os.write(descriptor, b".")
        return os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)


def entry_name() -> str:
    """The name of the running script, module or notebook, without folder and extension; "interactive" at a prompt."""
    main = sys.modules.get("__main__")
    notebook = getattr(main, "__vsc_ipynb_file__", None) or os.environ.get("JPY_SESSION_NAME")
    if isinstance(notebook, str) and notebook:
        return _OF_SESSION.sub("", Path(notebook).stem) or "notebook"
    shell = getattr(sys.modules.get("IPython.core.interactiveshell"), "InteractiveShell", None)
    if shell is not None and shell.initialized():
        return "notebook" if type(shell.instance()).__name__ != "TerminalInteractiveShell" else "interactive"
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name.removesuffix(".__main__").rpartition(".")[2])
    path = getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "")
    if not path or path.startswith("<") or path == "-c":
        return "interactive"
    return Path(path).stem
