"""Signals and exit codes pass through the launcher; the status of the run tells how the command ended."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrack

PYTHON = [sys.executable, "-S", "-c"]
Start = Callable[..., "subprocess.Popen[bytes]"]
# In short sleeps: Python runs a handler between two calls, but not for a signal that comes just before a long sleep.
# Nor for one that comes just before it reads what is not there yet: hence the wait for something to read.
SAY_AND_WAIT = "print('ready', flush=True)\nfor _ in range(3400): time.sleep(0.05)"
WAIT_FOR_INPUT = "import select, sys\nwhile not select.select([sys.stdin], [], [], 0.05)[0]: pass"


def ready(process: subprocess.Popen[bytes]) -> None:
    """Wait until the command says so."""
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n", process.stderr and process.stderr.read()


def command_of(process: subprocess.Popen[bytes]) -> int:
    """The process id of the launched command: the child of the launcher that is no launcher itself."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (found,) = (pid for pid in children if command_line(pid) != command_line(process.pid))  # others are its forks
    return int(found)


def command_line(pid: int | str) -> bytes:
    """The words of a process's command line, each with a NUL behind it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def until(true: Callable[[], bool]) -> None:
    """Wait until something is the case."""
    deadline = time.monotonic() + 170
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(pid: int) -> str:
    """What the kernel says that a process does, by its letter (T: stopped)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    ("ending", "code", "status"),
    [
        ("pass", 0, "finished"), ("raise SystemExit(3)", 3, "failed"), ("import os; os._exit(9)", 9, "failed"),
        ("import os; os.kill(os.getpid(), 9)", -9, "killed"), ("import os; os.abort()", -6, "killed"),
    ],
)  # fmt: skip
def test_the_end_of_the_command_is_that_of_the_launcher(launch: Any, ending: str, code: int, status: str):
    """The exit code, or the signal itself, reaches whoever waits; the run has the shell's number for it."""
    assert launch(*PYTHON, ending).returncode == code
    (job,) = autotrack.runs()
    assert job.status == status
    assert job.exit_code == (code if code >= 0 else 128 - code)
    if code < 0:
        assert job.failure_type == signal.Signals(-code).name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_launcher_ends_command_and_run(started: Start, number: signal.Signals):
    """The command gets it, and both end by it."""
    process = started(*PYTHON, "import signal, time\nsignal.signal(2, signal.SIG_DFL)\n" + SAY_AND_WAIT)
    ready(process)
    command = command_of(process)
    process.send_signal(number)
    assert process.wait(170) == -number
    assert not Path(f"/proc/{command}").exists()
    (job,) = autotrack.runs()
    assert (job.status, job.failure_type) == ("killed", number.name)


def test_signals_with_a_meaning_of_their_own_arrive_once(started: Start):
    """SIGUSR1 and SIGUSR2 reach the command's handlers, in order and once each."""
    process = started(
        *PYTHON,
        """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: print('one', flush=True))
signal.signal(signal.SIGUSR2, lambda *_: print('two', flush=True))
print('ready', flush=True)
"""
        + WAIT_FOR_INPUT,
    )
    ready(process)
    for number, word in ((signal.SIGUSR1, b"one\n"), (signal.SIGUSR2, b"two\n"), (signal.SIGUSR1, b"one\n")):
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stdout.readline() == word
    rest, _ = process.communicate(timeout=170)
    assert (process.returncode, rest) == (0, b"")
    assert autotrack.get_run().status == "finished"


def test_a_command_that_ignores_sigterm_goes_on(started: Start):
    """So does the launcher: it waits, as a shell would."""
    process = started(*PYTHON, "import signal, sys\nsignal.signal(15, lambda *_: print('no', flush=True))\n"
                      f"print('ready', flush=True)\n{WAIT_FOR_INPUT}\nprint('done')")  # fmt: skip
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == b"no\n"
    assert process.poll() is None
    rest, _ = process.communicate(b"\n", timeout=170)
    assert (process.returncode, rest) == (0, b"done\n")
    assert autotrack.get_run().status == "finished"


def test_a_command_that_tidies_up_on_sigterm_was_killed(started: Start, monkeypatch: pytest.MonkeyPatch):
    """It ends with an exit code of its own, because it was told to end; in a scheduler's job it was preempted."""
    for status in ("killed", "preempted"):
        process = started(
            *PYTHON, "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(5))\n" + SAY_AND_WAIT
        )
        ready(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(170) == 5
        job = autotrack.get_run()
        assert (job.status, job.exit_code) == (status, 5)
        monkeypatch.setenv("SLURM_JOB_ID", "1")


def test_an_ignored_hangup_stays_ignored(started: Start):
    """Under `nohup` neither the launcher nor the command ends."""
    process = started(*PYTHON, "import signal, sys; print('ready', flush=True); sys.stdin.read(); "
                      "print(signal.getsignal(1) is signal.SIG_IGN)",
                      preexec_fn=lambda: (os.setpgid(0, 0), signal.signal(signal.SIGHUP, signal.SIG_IGN)))  # fmt: skip
    ready(process)
    process.send_signal(signal.SIGHUP)
    rest, _ = process.communicate(timeout=170)
    assert (process.returncode, rest) == (0, b"True\n")


def test_stopped_and_continued(started: Start):
    """SIGTSTP stops command and launcher, SIGCONT lets both go on."""
    process = started(*PYTHON, "import sys; print('ready', flush=True); sys.stdin.read(); print('done')")
    ready(process)
    command = command_of(process)
    process.send_signal(signal.SIGTSTP)
    for pid in (process.pid, command):
        until(lambda: state(pid) == "T")  # noqa: B023 - it is called at once
    process.send_signal(signal.SIGCONT)
    rest, _ = process.communicate(timeout=170)
    assert (process.returncode, rest) == (0, b"done\n")


def test_the_launcher_killed(started: Start, tmp_path: Path):
    """`kill -9` of the launcher harms the command not at all: its output still arrives; the run has crashed."""
    process = started(*PYTHON, "import sys; print('ready', flush=True); sys.stdin.readline()\n"
                      "for number in range(20000): print(number)\nprint('err', file=sys.stderr)\n"
                      "open('done', 'w').close()")  # fmt: skip
    ready(process)
    until(lambda: autotrack.get_run().console == "ready\n")
    process.kill()
    process.wait()
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.stdout.read() == b"".join(b"%d\n" % number for number in range(20000))
    assert process.stderr.read() == b"err\n"
    assert (tmp_path / "done").exists()
    job = autotrack.get_run()
    assert (job.status, job.console) == ("crashed", "ready\n")


def test_a_command_that_leaves_something_running(launch: Any, tmp_path: Path):
    """The launcher ends with its command; what that left behind goes on, and what it writes arrives."""
    path = tmp_path / "output"
    with path.open("wb") as output:
        done = launch("sh", "-c", "(while [ ! -e go ]; do sleep 0.05; done; echo late) & echo early",
                      stdout=output, capture_output=False, stderr=subprocess.DEVNULL)  # fmt: skip
    assert (done.returncode, path.read_bytes()) == (0, b"early\n")
    assert autotrack.get_run().console == "early\n"
    (tmp_path / "go").touch()
    until(lambda: path.read_bytes() == b"early\nlate\n")


def test_the_mask_and_the_dispositions_are_those_of_a_shell(launch: Any):
    """The command starts with no signal blocked and none ignored that was not before."""
    code = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('SigBlk', 'SigIgn'))])"
    with_us = launch(*PYTHON, code).stdout
    without = subprocess.run([*PYTHON, code], capture_output=True, check=True).stdout
    internal = 3 << 31  # two numbers that the C library keeps for itself
    masks = [[int(mask, 16) & ~internal for mask in ast.literal_eval(text.decode())] for text in (with_us, without)]
    assert masks[0] == masks[1]


pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes through /proc")
