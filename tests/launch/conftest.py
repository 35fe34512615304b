"""Commands launched as a user does, in processes of their own; with and without a terminal around them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

RUN = (sys.executable, "-m", "autotrack", "run")
PATIENCE = 170.0  # seconds: the machine may be busy
_WAITING = re.compile(rb"autotrack: waiting for .* \(Ctrl-C leaves now\)\n")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What surrounds a run is looked at by the one test that is about it."""
    monkeypatch.setenv("AUTOTRACK_CAPTURE", "-system,-git,-packages,-hardware")
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a source into a file of the test's folder."""

    def write(name: str, source: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Any]:
    """`autotrack run …` to its end, with pipes; `options` go to `subprocess.run`."""

    def launch(*words: Any, environment: dict[str, str] | None = None, **options: Any) -> Any:
        options = {"capture_output": True, "stdin": subprocess.DEVNULL, "timeout": PATIENCE, **options}
        return subprocess.run(
            [*RUN, *map(str, words)], cwd=tmp_path, env={**os.environ, **(environment or {})}, **options
        )

    return launch


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`autotrack run …` that goes on beside the test; whatever is left of it is killed at the end."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        options.setdefault("preexec_fn", lambda: os.setpgid(0, 0))  # a job of its own, as a shell makes it
        process = subprocess.Popen([*RUN, *map(str, words)], cwd=tmp_path, **options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait(PATIENCE)


@pytest.fixture
def said() -> Callable[[bytes], bytes]:
    """What of an output is there on any machine: without what a process says whose own work is not done in a second."""
    return lambda output: _WAITING.sub(b"", output)


class Terminal:
    """A command in a terminal of its own, as its user sees and operates it."""

    def __init__(self, words: list[str], folder: Path, rows: int = 30, columns: int = 90) -> None:
        self.screen = b""
        self.process, self._fd = pty.fork()
        if self.process == 0:
            _resize(0, rows, columns)  # here, so that the command never sees another size
            os.chdir(folder)
            os.execv(words[0], words)

    def resize(self, rows: int, columns: int) -> None:
        """Make the window another size."""
        _resize(self._fd, rows, columns)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys)

    def shows(self, text: bytes) -> None:
        """Wait until the text is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < deadline, self.screen
            assert self._read(0.5) or text in self.screen, self.screen

    def shows_last(self, text: bytes, *, after: bytes) -> None:
        """Wait until the text is on the screen below the last place where `after` stands."""
        deadline = time.monotonic() + PATIENCE
        while after not in self.screen or text not in self.screen.rpartition(after)[2]:
            assert time.monotonic() < deadline, self.screen
            self._read(0.5)

    def end(self) -> int:
        """Wait for the end; the exit code, or the negative number of the signal."""
        while self._read(60):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def _read(self, timeout: float) -> bool:
        if not select.select([self._fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self.screen += data
        return bool(data)


def _resize(descriptor: int, rows: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., Terminal]:
    """Open a terminal in which a command is launched."""
    return lambda *words, launcher=RUN, **options: Terminal([*launcher, *map(str, words)], tmp_path, **options)
