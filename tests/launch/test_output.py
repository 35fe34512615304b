"""What a command writes arrives as it was written; what is kept of it is text, in bounds and without secrets."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.launch.console import HEAD, TAIL, WITHHELD, ConsoleBuffer

PYTHON = [sys.executable, "-S", "-c"]
SHELL_RUN = shlex.join([sys.executable, "-m", "autotrack", "run", *PYTHON])
Launch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_bytes_pass_unchanged(launch: Launch):
    """All of them, in both directions; what is kept shows where there is no text."""
    data = bytes(range(256)) * 300
    done = launch(*PYTHON, "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", input=data, stdin=None)
    assert (done.returncode, done.stdout) == (0, data)
    assert "\ufffd" in autotrack.get_run().console


def test_stdout_and_stderr_stay_apart_or_together(launch: Launch, said: Any, tmp_path: Path):
    """Two places get what belongs to each; one place gets both, in the order in which they were written."""
    code = "import os\nfor n in range(300): os.write(1 + n % 2, b'%d\\n' % n)"
    done = launch(*PYTHON, code)
    assert done.stdout.split() == [b"%d" % n for n in range(0, 300, 2)]
    assert said(done.stderr).split() == [b"%d" % n for n in range(1, 300, 2)]
    with (tmp_path / "both").open("wb") as both:
        launch(*PYTHON, code, capture_output=False, stdout=both, stderr=subprocess.STDOUT)
    expected = b"".join(b"%d\n" % n for n in range(300))
    assert said((tmp_path / "both").read_bytes()) == expected
    assert autotrack.get_run().console == expected.decode()


def test_output_without_a_newline(launch: Launch):
    """A last line that never ended is kept as well."""
    assert launch(*PYTHON, "print('a'); print('b', end='')").stdout == b"a\nb"
    assert autotrack.get_run().console == "a\nb"


def test_closed_streams_stay_closed(launch: Launch, tmp_path: Path):
    """A command that was given no stdin, stdout or stderr finds none, and no file of ours in their place."""
    code = """
import os
found = ''
for number in (0, 1, 2):
    try:
        os.fstat(number)
        found += str(number)
    except OSError:
        found += '-'
open('found', 'w').write(found)
"""
    for closing, left in (("<&-", "-12"), (">&-", "0-2"), ("2>&-", "01-"), ("<&- >&- 2>&-", "---")):
        line = f'{SHELL_RUN} "$CODE" {closing}'
        environment = {**os.environ, "CODE": code}
        subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, check=True, capture_output=True)
        assert (tmp_path / "found").read_text() == left
        assert autotrack.get_run().status == "finished"


def test_a_reader_that_leaves(launch: Launch, tmp_path: Path):
    """The command notices as it would without us: `| head` ends it."""
    line = f'{SHELL_RUN} "$CODE" | head -n 1; cat end'
    code = "import sys\ntry:\n  while True: print('x' * 1000)\nexcept BrokenPipeError:\n  open('end', 'w').write('end')"
    environment = {**os.environ, "CODE": code}
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, timeout=240, check=False
    )
    assert done.stdout.endswith(b"end") or b"cat: end" in done.stderr
    assert done.stdout.startswith(b"x" * 1000 + b"\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_behind_the_output_ends_nothing(launch: Launch, said: Any):
    """What the disk does not take is lost there, named in the report, and kept."""
    with open("/dev/full", "wb") as full:
        done = launch(*PYTHON, "print('lost')", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, said(done.stderr)) == (0, b"")
    record = autotrack.get_run()
    assert record.console == "lost\n"
    assert any("5 bytes of stdout could not be written" in line for line in record.capture_report)


def test_a_hundred_megabytes(launch: Launch):
    """They pass through; of them the beginning and the end are kept, and the report says so.

    The first part is smaller than what may wait to be recorded, and the rest comes when the beginning was kept.
    """
    code = """
import sys
line = 'x' * 99 + '\\n'
sys.stdout.write(line * 60_000)
sys.stdout.flush()
sys.stdin.read()
for n in range(94): sys.stdout.write(line * 10_000)
print('the end')
"""
    with subprocess.Popen(
        ["sh", "-c", f'{SHELL_RUN} "$CODE" | wc -c'],
        env={**os.environ, "CODE": code}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        while not autotrack.runs() or len(autotrack.get_run().console) <= HEAD:
            assert process.poll() is None
            time.sleep(0.05)
        read, _ = process.communicate(timeout=240)
    assert (process.returncode, int(read)) == (0, 100_000_008)
    record = autotrack.get_run()
    assert HEAD < len(record.console) < HEAD + TAIL + (1 << 18)
    assert record.console.startswith("x" * 99 + "\n")
    assert record.console.endswith("\nthe end\n")
    assert "left out here" in record.console or "too fast" in record.console
    assert any("much output" in line for line in record.capture_report)


def test_secrets_are_withheld_line_by_line(launch: Launch):
    """A line with a likely secret passes through, but is not kept; the report says which one it was."""
    token = "ghp_x7Kq9rT2mZ4pW8vLx7Kq9rT2mZ4pW8vLab12"
    done = launch(*PYTHON, f"print('before'); print('token', '{token}'); print('after')")
    assert token.encode() in done.stdout
    record = autotrack.get_run()
    assert record.console == f"before\n{WITHHELD}after\n"
    assert any("stdout 2" in line for line in record.capture_report)


@pytest.mark.parametrize("how", ["option", "variable", "code"])
def test_the_console_can_be_left_out(launch: Launch, tmp_path: Path, how: str):
    """By an option, by the environment, by the project's settings: then the command has the very same files as we."""
    options = ["--no-console"] if how == "option" else []
    environment = {"AUTOTRACK_CAPTURE": "-console,-system"} if how == "variable" else {}
    if how == "code":
        (tmp_path / "pyproject.toml").write_text("[tool.autotrack]\ncapture = {console = false}\n")
        environment = {"AUTOTRACK_CAPTURE": ""}
        del os.environ["AUTOTRACK_CAPTURE"]
    with (tmp_path / "file").open("wb") as file:
        code = "import os, stat; print(stat.S_ISREG(os.fstat(1).st_mode))"
        if how == "code":
            environment = {}
        launch(*options, *PYTHON, code, capture_output=False, stdout=file, environment=environment)
    assert (tmp_path / "file").read_text() == "True\n"
    record = autotrack.get_run()
    assert (record.console, record.status) == ("", "finished")


def test_logs_prints_what_was_kept(launch: Launch):
    """`autotrack logs` shows it, by default of the last run."""
    launch("--name", "first", *PYTHON, "print('one')")
    launch(*PYTHON, "print('two')")
    logs = [sys.executable, "-m", "autotrack", "logs"]
    assert subprocess.run(logs, capture_output=True, check=True).stdout == b"two\n"
    assert subprocess.run([*logs, "first"], capture_output=True, check=True).stdout == b"one\n"


class Kept:
    """What a console hands over."""

    def __init__(self, **limits: int) -> None:
        self.pieces: list[tuple[str, str]] = []
        self.told: list[str] = []
        self.console = ConsoleBuffer(
            lambda stream, text: self.pieces.append((stream, text)), self.told.append, **limits
        )

    def after(self, *writes: bytes, stream: Any = "stdout") -> str:
        """The text that is kept of these writes."""
        for data in writes:
            self.console.feed(stream, data)
        self.console.finish()
        return "".join(text for _, text in self.pieces)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ([b"a\r\nb\r\n"], "a\nb\n"),
        ([b" 10%|#", b"   |\r 55%|##  |\r", b"100%|####|\ndone\n"], "100%|####|\ndone\n"),
        ([b"\r 10%", b"\r 20%"], " 20%"),
        ([b"\r 10%", b"\r"], " 10%"),
        ([b"\x1b[31mred\x1b[0m \x1b]0;title\x07plain\x1b[K\n"], "red plain\n"),
        ([b"1/3\b\b\b2/3\b\b\b3/3\n"], "3/3\n"),
        ([b"caf\xc3", b"\xa9\n"], "café\n"),
        ([b"tab\there\x00\n"], "tab\there\ufffd\n"),
    ],
)
def test_a_line_is_kept_as_it_stood_in_the_end(written: list[bytes], kept: str):
    """Of progress bars the last drawing, of colours nothing, of characters cut in two the whole."""
    assert Kept().after(*written) == kept


def test_a_line_that_never_ends_stays_bounded():
    """It is kept in parts, and no character is cut."""
    kept = Kept()
    text = "é" * 300_000
    data = text.encode()
    assert kept.after(*(data[start : start + 1001] for start in range(0, len(data), 1001))) == text
    assert all(len(piece) <= 1 << 18 for _, piece in kept.pieces)


def test_batches():
    """Pieces of one stream come together, in the order of the writes."""
    kept = Kept()
    kept.console.feed("stdout", b"a\n")
    kept.console.feed("stdout", b"b\n")
    kept.console.feed("stderr", b"c\n")
    kept.console.flush()
    assert kept.pieces == [("stdout", "a\nb\n"), ("stderr", "c\n")]


def test_the_middle_is_left_out():
    """Past the limit only the end is kept, and it says how much is missing."""
    kept = Kept(head=1000, tail=1000)
    for number in range(1000):
        kept.console.feed("stdout", b"%9d\n" % number)
        kept.console.flush()
    text = kept.after()
    lines = text.splitlines()
    assert lines[:100] == [f"{number:9d}" for number in range(100)]
    assert lines[-100:] == [f"{number:9d}" for number in range(900, 1000)]
    assert lines[100] == "[autotrack: 8,000 characters left out here]"
    assert len(kept.told) == 1


def test_a_private_key_is_withheld_whole():
    """All its lines, not only the first, also when they come piece by piece."""
    body = "x7Kq9rT2mZ4pW8vLx7Kq9rT2mZ4pW8vLx7Kq9rT2mZ4pW8vLx7Kq9rT2mZ4pW8vL"
    key = ["-----BEGIN PRIVATE KEY-----", body, body[:20], "-----END PRIVATE KEY-----"]
    kept = Kept()
    for line in ["a", *key, "b"]:
        kept.console.feed("stdout", f"{line}\n".encode())
        kept.console.flush()
    assert kept.after() == "a\n" + 4 * WITHHELD + "b\n"
    assert "stdout 2, stdout 3, stdout 4, stdout 5" in kept.told[0]
