"""Names of runs that nobody named: readable, in order, and never asked of a database."""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def new_run_id() -> str:
    """A fresh run id: 64 random bits in hex."""
    return secrets.token_hex(8)


def numbered(place: Path, base: str) -> str:
    """`base` with the next number in this place: `logreg-12`.

    Each name has a small file, to which taking a number appends one byte; where the byte landed is the number.
    So any number of processes count without a lock. Where that fails, a random suffix does.
    """
    safe = _UNSAFE.sub("-", base)[:80] or "run"
    try:
        folder = place / "names"
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / safe, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            os.write(descriptor, b".")
            number = os.lseek(descriptor, 0, os.SEEK_CUR)
        finally:
            os.close(descriptor)
    except OSError:
        return f"{base}-{secrets.token_hex(3)}"
    return f"{base}-{number}"


def entry_name() -> str:
    """The name of what is running: the script's or notebook's, without folder and ending."""
    notebook = os.environ.get("JPY_SESSION_NAME") or os.environ.get("VSCODE_NOTEBOOK", "")
    if notebook:
        return Path(notebook).stem or "notebook"
    if "ipykernel" in sys.modules:
        return "notebook"
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name.removesuffix(".__main__").rpartition(".")[2])
    path = getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "")
    if not path or path.startswith("<") or path == "-c":
        return "interactive"
    return Path(path).stem
