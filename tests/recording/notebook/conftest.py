"""A real kernel, driven as a notebook's front end does it; one for all tests of a module, restarted where one asks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import autotrack

jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")

PATIENCE = 170.0
BEGIN = """
import sys, warnings
warnings.simplefilter("ignore")
import autotrack
from autotrack import _process
autotrack.autolog(disable=True)
_process.reset()
autotrack.configure(dir={place!r})
"""


@dataclass
class Cell:
    """What running a cell gave: its number, texts of the streams, displayed data, and the error's name and text."""

    number: int = 0
    stdout: str = ""
    stderr: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    message: str = ""

    @property
    def value(self) -> Any:
        """The value of the cell's last expression, which is a JSON text."""
        assert not self.error, f"{self.error}: {self.message}"
        return json.loads(eval(self.shown[-1]["text/plain"]))


class Notebook:
    """A notebook's front end and its kernel."""

    def __init__(self, folder: Path) -> None:
        self.manager = jupyter_client.KernelManager(kernel_name="python3")
        self.manager.shutdown_wait_time = PATIENCE  # after half of it the kernel is told to end, and then killed
        self.manager.start_kernel(cwd=str(folder), env={**os.environ, "JPY_SESSION_NAME": str(folder / "digits.ipynb")})
        self._connect()

    def _connect(self) -> None:
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def send(self, code: str, cell: str = "") -> str:
        """Have the kernel run a cell, and go on; returns the request's id."""
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": True,
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content)
        message["metadata"] = {"cellId": cell} if cell else {}
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def result(self, request: str, heard: Callable[[str], None] | None = None) -> Cell:
        """What came of a cell, once it has ended; `heard` is called with all it has printed so far."""
        cell = Cell()
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "execute_input":
                cell.number = content["execution_count"]
            elif kind == "stream":
                setattr(cell, content["name"], getattr(cell, content["name"]) + content["text"])
                if heard is not None:
                    heard(cell.stdout)
            elif kind in ("execute_result", "display_data"):
                cell.shown.append(content["data"])
            elif kind == "error":
                cell.error, cell.message = content["ename"], content["evalue"]
            elif kind == "status" and content["execution_state"] == "idle":
                return cell

    def run(self, code: str, cell: str = "") -> Cell:
        """Run a cell to its end; `cell` is the id that the front end knows it by."""
        return self.result(self.send(code, cell))

    def interrupt_when(self, code: str, printed: str) -> Cell:
        """Run a cell and, as soon as it has printed something, press the stop button."""
        asked: list[bool] = []

        def heard(text: str) -> None:
            if printed in text and not asked:
                asked.append(True)
                self.manager.interrupt_kernel()

        return self.result(self.send(code), heard)

    def wait_until_printed(self, request: str, text: str) -> None:
        """Wait until a cell has printed something, and let it run on."""
        printed = ""
        while text not in printed:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == request and message["msg_type"] == "stream":
                printed += message["content"]["text"]

    def restart(self, *, now: bool = False) -> None:
        """Restart the kernel, as from the menu."""
        self.client.stop_channels()
        self.manager.restart_kernel(now=now)
        self._connect()

    def close(self) -> None:
        """Shut the kernel down, as on closing the notebook."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """A kernel for all tests of the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTRACK_QUIET", "1")
        for limit in ("ENVIRONMENT", "EXIT"):
            patch.setenv(f"AUTOTRACK_{limit}_TIMEOUT", str(PATIENCE))
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        one = Notebook(tmp_path_factory.mktemp("notebooks"))
    yield one
    one.close()


@pytest.fixture
def notebook(kernel: Notebook, place: Path) -> Notebook:
    """The kernel, with nothing of earlier tests, recording to this test's place."""
    return begin(kernel, place)


@pytest.fixture
def new_notebook(kernel: Notebook, place: Path) -> Notebook:
    """The same, but no test has recorded in this kernel, so that its end is that of the collector it has now."""
    kernel.restart(now=True)
    return begin(kernel, place)


def begin(kernel: Notebook, place: Path) -> Notebook:
    """Have the kernel record to the place."""
    begun = kernel.run(BEGIN.format(place=str(place)))
    assert not begun.error, begun.message
    return kernel


@pytest.fixture
def records() -> Callable[..., list[Any]]:
    """The records in the test's place, oldest first, on request with `children`; `until` waits for what must hold."""

    def read(until: Callable[[list[Any]], bool] | None = None, *, children: bool = False) -> list[Any]:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = list(reversed(autotrack.runs(all=children)))
            if until is None or until(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    return read
