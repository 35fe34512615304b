"""A terminal stays a terminal: colours, bars, size, Ctrl-C and Ctrl-Z, as if the launcher were not there."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import autotrack

PYTHON = [sys.executable, "-S", "-c"]
SHELL_RUN = shlex.join([sys.executable, "-m", "autotrack", "run", *PYTHON])
Open = Callable[..., Any]


def test_the_command_sees_a_terminal_of_the_same_size(terminal: Open):
    """On all three of its streams, in size and kind; what it writes arrives byte by byte."""
    code = "import os; print([os.isatty(n) for n in (0, 1, 2)], os.get_terminal_size()); print('\\033[31mred\\033[0m')"
    window = terminal(*PYTHON, f"input(); {code}", rows=33, columns=77)
    window.type(b"\n")
    assert window.end() == 0
    assert b"[True, True, True] os.terminal_size(columns=77, lines=33)\r\n\x1b[31mred\x1b[0m\r\n" in window.screen
    assert "[True, True, True]" in autotrack.get_run().console
    assert "\nred\n" in autotrack.get_run().console


def test_a_window_that_changes_its_size(terminal: Open):
    """The command hears of it, and sees the new size."""
    code = """
import os, select, signal
signal.signal(signal.SIGWINCH, lambda *_: print('now', os.get_terminal_size(1).columns, flush=True))
print('ready', flush=True)
while not select.select([0], [], [], 0.05)[0]: pass  # a signal that comes just before `input` would be heard after it
"""
    window = terminal(*PYTHON, code)
    window.shows(b"ready")
    window.resize(20, 44)
    window.shows(b"now 44")
    window.type(b"\n")
    assert window.end() == 0


def test_ctrl_c_interrupts_the_command_once(terminal: Open):
    """The terminal sends it to both; the command decides what becomes of it, and hears it once."""
    code = """
import select, signal
def heard(*_):
    print('heard', flush=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGINT, heard)
print('ready', flush=True)
while not select.select([0], [], [], 0.05)[0]: pass  # a signal that comes just before `input` would be heard after it
print('typed', input())
"""
    window = terminal(*PYTHON, code)
    window.shows(b"ready")
    window.type(b"\x03")
    window.shows(b"heard")
    window.type(b"more\n")
    assert window.end() == 0
    assert b"typed more" in window.screen
    assert autotrack.get_run().status == "finished"


def test_ctrl_c_ends_what_does_not_handle_it(terminal: Open):
    """By the signal, as a shell has to see; the run was killed."""
    window = terminal(*PYTHON, "import time; print('ready', flush=True)\nfor _ in range(3400): time.sleep(0.05)")
    window.shows(b"ready")
    window.type(b"\x03")
    assert window.end() == -signal.SIGINT
    assert b"KeyboardInterrupt" in window.screen
    job = autotrack.get_run()
    assert (job.status, job.failure_type) == ("killed", "SIGINT")


def test_what_is_typed_reaches_the_command(terminal: Open):
    """Also without echo, and through the terminal itself, as passwords are asked for."""
    window = terminal(sys.executable, "-c", "import getpass; print(len(getpass.getpass('word: ')))")
    window.shows(b"word: ")
    window.type(b"sesame\n")
    assert window.end() == 0
    assert b"sesame" not in window.screen
    assert b"6\r\n" in window.screen


def test_bars_are_live_and_kept_once(terminal: Open):
    """tqdm draws as on any terminal; of the bar its last state is kept."""
    window = terminal(sys.executable, "-c", "import tqdm\nfor _ in tqdm.tqdm(range(50), mininterval=0): pass")
    assert window.end() == 0
    assert window.screen.count(b"\r") > 20
    (line,) = autotrack.get_run().console.splitlines()
    assert line.startswith("100%|")


def test_a_terminal_for_one_stream_and_a_file_for_the_other(terminal: Open, said: Any, tmp_path: Path):
    """Each of the two is what it would be without us."""
    code = "import os; print(os.isatty(1), os.isatty(2)); os.write(2, b'to the file\\n')"
    (tmp_path / "work.sh").write_text(f'exec {SHELL_RUN} "$1" 2>log\n')
    window = terminal("/bin/sh", "work.sh", code, launcher=())
    assert window.end() == 0
    assert b"True False\r\n" in window.screen
    assert said((tmp_path / "log").read_bytes()) == b"to the file\n"
    assert sorted(autotrack.get_run().console.splitlines()) == ["True False", "to the file"]


def test_job_control(terminal: Open, monkeypatch: pytest.MonkeyPatch):
    """In an interactive shell Ctrl-Z stops the command with its launcher, and `fg` takes it up again."""
    monkeypatch.setenv("PS1", "what next? ")
    window = terminal("/bin/bash", "--norc", "--noprofile", "-i", launcher=())
    code = "print('rea' + 'dy', flush=True); print('got', input())"
    window.type(f'{SHELL_RUN} "{code}"\n'.encode())
    window.shows(b"ready")
    window.type(b"\x1a")
    window.shows_last(b"what next?", after=b"Stopped")
    processes = psutil.Process(window.process).children(recursive=True)
    (command,) = (process for process in processes if process.cmdline()[1:] == [*PYTHON[1:], code])
    while command.status() != psutil.STATUS_STOPPED:  # until then it may still read what is typed for the shell
        time.sleep(0.01)
    window.type(b"fg\n")
    window.shows_last(b"autotrack run", after=b"fg")  # the shell names what it takes up again
    window.type(b"hello\n")
    window.shows(b"got hello")
    window.type(b"exit $?\n")
    assert window.end() == 0
    assert autotrack.get_run().status == "finished"
