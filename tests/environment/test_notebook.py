"""What is recorded of notebooks. Where IPython is not installed, a module with its two entry points stands in."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

STAND_IN = """
class InteractiveShell:
    one = None
    def __init__(self):
        self.user_ns = {}
    @classmethod
    def initialized(cls):
        return InteractiveShell.one is not None
    @classmethod
    def instance(cls):
        InteractiveShell.one = InteractiveShell.one or cls()
        return InteractiveShell.one
"""
PROGRAM = """
import json, sys
from autotrack.environment import notebook
before = notebook.gather().data
from IPython.core.interactiveshell import InteractiveShell
imported = notebook.gather().data
class ZMQInteractiveShell(InteractiveShell):
    pass
class TerminalInteractiveShell(InteractiveShell):
    pass
shell = {"zmq": ZMQInteractiveShell, "terminal": TerminalInteractiveShell}[sys.argv[1]].instance()
if len(sys.argv) > 2:
    shell.user_ns["__vsc_ipynb_file__"] = sys.argv[2]
print(json.dumps([before, imported, notebook.gather().data]))
"""


@pytest.fixture
def in_shell(script: Any, tmp_path: Path) -> Any:
    """Gathers before IPython, after its import, and inside a shell of the given kind."""
    if importlib.util.find_spec("IPython") is None:
        (tmp_path / "IPython" / "core").mkdir(parents=True)
        (tmp_path / "IPython" / "core" / "interactiveshell.py").write_text(STAND_IN)

    def run(*arguments: str, **environment: str) -> dict[str, Any]:
        before, imported, inside = json.loads(script(PROGRAM, *arguments, **environment).stdout)
        assert before == imported == {}
        return dict(inside)

    return run


def test_jupyter(in_shell: Any) -> None:
    """In a Jupyter kernel the path is what the server tells."""
    data = in_shell("zmq", JPY_SESSION_NAME="/home/ada/work/digits.ipynb")
    assert data == {"kind": "jupyter", "shell": "ZMQInteractiveShell", "path": "/home/ada/work/digits.ipynb"}


def test_vscode(in_shell: Any) -> None:
    """VS Code leaves the path among the user's names."""
    data = in_shell("zmq", "/home/ada/digits.ipynb")
    assert data == {"kind": "vscode", "shell": "ZMQInteractiveShell", "path": "/home/ada/digits.ipynb"}


def test_colab(in_shell: Any) -> None:
    """Colab is known by its variable; its path is not known from inside."""
    assert in_shell("zmq", COLAB_RELEASE_TAG="r1") == {"kind": "colab", "shell": "ZMQInteractiveShell"}


def test_terminal(in_shell: Any) -> None:
    """IPython in a terminal is no notebook."""
    assert in_shell("terminal")["kind"] == "ipython"
