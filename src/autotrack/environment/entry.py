"""The user's own code: the script that was started, and the folder to look for its repository in."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def entry_script() -> Path | None:
    """The absolute path of the script (or the `-m` module) that this process runs; None in a notebook or shell."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(path, str):
        return None
    try:
        script = Path(os.path.abspath(path))
    except OSError:  # a relative path, and the current folder was deleted
        return None
    return script if script.is_file() else None


def code_folder(script: Path | None) -> Path:
    """The folder of the user's code: the script's, or the current one if the script is a tool that was installed.

    The root of the file system if the current folder was deleted.
    """
    if script is not None and not _is_installed(script):
        return script.resolve().parent
    try:
        return Path.cwd()
    except OSError:
        return Path(os.sep)


def _is_installed(script: Path) -> bool:
    """Whether the script came with Python or a package (`pytest`, `python -m timeit`), so that it is not the user's."""
    if {"site-packages", "dist-packages"} & set(script.parts):
        return True
    library = Path(os.__file__).parent
    programs = {Path(prefix, "bin") for prefix in (sys.prefix, sys.base_prefix)} | {Path(sys.executable).parent}
    return script.parent in programs or library in script.parents
