"""Detection of the notebook that the code runs in: its kind and, where the kernel knows it, its path."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from autotrack.environment.facts import Facts

_HOSTS = (
    ("COLAB_RELEASE_TAG", "colab"),
    ("KAGGLE_KERNEL_RUN_TYPE", "kaggle"),
    ("DATABRICKS_RUNTIME_VERSION", "databricks"),
    ("DEEPNOTE_PROJECT_ID", "deepnote"),
    ("PAPERSPACE_NOTEBOOK_REPO_ID", "paperspace"),
)


def gather(environment: Mapping[str, str] | None = None) -> Facts:
    """The `kind` ("jupyter", "vscode", "colab", "ipython", …), the `shell` class and, if known, the `path`.

    Empty outside a notebook or an IPython shell. Imports nothing and asks no server.
    """
    environment = os.environ if environment is None else environment
    shell = running_shell()
    if shell is None:
        return Facts({})
    names = getattr(shell, "user_ns", None)
    names = names if isinstance(names, dict) else {}
    path = names.get("__vsc_ipynb_file__") or names.get("__session__") or environment.get("JPY_SESSION_NAME")
    data: dict[str, Any] = {"kind": _kind(shell, names, environment), "shell": type(shell).__name__}
    if isinstance(path, str):
        data["path"] = path
    return Facts(data)


def running_shell() -> object | None:
    """The IPython shell that runs in this process; None if there is none."""
    interactive = getattr(sys.modules.get("IPython.core.interactiveshell"), "InteractiveShell", None)
    if interactive is None or not interactive.initialized():
        return None
    shell: object = interactive.instance()
    return shell


def _kind(shell: object, names: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    for variable, kind in _HOSTS:
        if environment.get(variable):
            return kind
    if type(shell).__name__ == "TerminalInteractiveShell":
        return "ipython"
    return "vscode" if "__vsc_ipynb_file__" in names or environment.get("VSCODE_PID") else "jupyter"
