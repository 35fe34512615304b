"""The real command in processes of its own, on runs that a real script recorded."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import math
import autotrack

for number, (lr, depth) in enumerate([(0.1, 3), (0.01, 3), (0.3, 5)]):
    with autotrack.start_run(f"tree-{number}", experiment="digits", params={"lr": lr, "depth": depth}) as run:
        run.log_params({"tol": 1e-4, "verbose": False}, origin="default")
        run.set_tags({"team": "vision"})
        for step in range(100):
            run.log({"val/accuracy": 1 - math.exp(-step * lr), "train/loss": math.exp(-step * lr)}, step=step)
        run.log_dataset([[1, 2], [3, 4]], name="pixels", role="train", version="7")
        run.log_text("all good", "notes/summary.txt")
        if number == 2:
            for fold in (1, 2):
                with autotrack.start_run(f"fold-{fold}") as child:
                    child.log({"val/accuracy": 0.9})
try:
    with autotrack.start_run("broken", experiment="digits", params={"lr": float("nan")}) as run:
        run.log({"train/loss": float("inf"), "odd": float("nan")})
        run.report("gpu", "the driver did not answer")
        raise ValueError("matrix is singular")
except ValueError:
    pass
"""


@dataclass(frozen=True)
class Answer:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output as JSON, of which NaN and Infinity are no part."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))

    @property
    def lines(self) -> list[str]:
        """The lines of the output."""
        return self.out.splitlines()


Cli = Callable[..., Answer]
Watch = Callable[[str], None]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with six runs, recorded once; tests get copies of it."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "train.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK")}
    environment |= {"AUTOTRACK_DIR": str(folder / ".autotrack"), "AUTOTRACK_QUIET": "1"}
    environment |= {"AUTOTRACK_ENVIRONMENT_TIMEOUT": "170", "AUTOTRACK_EXIT_TIMEOUT": "170"}  # the machine may be busy
    subprocess.run([sys.executable, "train.py"], cwd=folder, env=environment, check=True)
    return folder / ".autotrack"


@pytest.fixture
def runs(recorded: Path, place: Path) -> Path:
    """The recorded runs, in this test's own place."""
    return Path(shutil.copytree(recorded, place))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run the command as a program would, with pipes for its output."""

    def run(*args: str, stdin: str = "", timeout: float = 240, **environment: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "autotrack.cli", *args],
            input=stdin, capture_output=True, timeout=timeout, cwd=tmp_path, env={**os.environ, **environment},
            encoding="utf-8",
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def record(tmp_path: Path) -> Callable[[str], None]:
    """Record something with a script of its own."""

    def run(source: str) -> None:
        (tmp_path / "more.py").write_text(textwrap.dedent(source))
        subprocess.run([sys.executable, "more.py"], cwd=tmp_path, check=True)

    return run


@pytest.fixture
def in_terminal(tmp_path: Path) -> Cli:
    """Run the command as a person does, in a terminal of so many columns.

    `styled` keeps its colours, `answer` is typed, `watch` is told all that was written so far, whenever there is more.
    """

    def run(*args: str, width: int = 80, styled: bool = False, answer: str = "", watch: Watch | None = None) -> Answer:
        child, terminal = pty.fork()
        if not child:
            os.chdir(tmp_path)
            for name in ("NO_COLOR", "COLUMNS", "FORCE_COLOR"):
                os.environ.pop(name, None)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
            os.execve(
                sys.executable, [sys.executable, "-m", "autotrack.cli", *args], {**os.environ, "TERM": "xterm-256color"}
            )
        if answer:
            os.write(terminal, answer.encode())
        written = b""
        for piece in iter(lambda: _read(terminal), b""):
            written += piece
            if watch is not None:
                watch(written.decode(errors="replace"))
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        text = written.decode().replace("\r\n", "\n")
        return Answer(os.waitstatus_to_exitcode(status), text if styled else plain(text), "")

    return run


def plain(text: str) -> str:
    """The text without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other end has closed
        return b""
