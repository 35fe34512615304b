"""Waiting for a launched command, and forwarding signals of the launcher to it.

Command and launcher are in one process group, so that the terminal sends Ctrl-C and Ctrl-Z to both; only signals that
were sent to the launcher alone are forwarded.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_KERNEL = 128  # `si_code` of a signal from the kernel, such as a terminal's, which goes to the whole group
RESTORED = [signal.SIGPIPE, *([signal.SIGXFSZ] if hasattr(signal, "SIGXFSZ") else [])]  # ignored by Python
SCHEDULERS = frozenset({signal.SIGTERM, signal.SIGHUP})
ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})


class Signals:
    """The signals that a launcher blocks and waits for instead of handling them.

    Enter `held` before a second thread is started. `before` is the signal mask with which the command is started,
    `asked_to_end` the last signal that asked the command to end.
    """

    def __init__(self) -> None:
        ignored = [name for name in _PASSED_ON if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN]
        names = [name for name in _PASSED_ON if name not in ignored]
        self.awaited = {getattr(signal, name) for name in (*names, "SIGWINCH", "SIGTSTP", "SIGCONT", "SIGCHLD")}
        self.before: set[int] = set()
        self.asked_to_end: int | None = None

    @contextmanager
    def held(self) -> Iterator[Signals]:
        """Context in which the signals are blocked, to be received by `wait_for`; restores the mask afterwards."""
        for number in (signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT):
            signal.signal(number, lambda *_: None)  # some systems drop blocked signals whose default is to be ignored
        self.before = set(signal.pthread_sigmask(signal.SIG_BLOCK, self.awaited))
        try:
            yield self
        finally:
            while signal.sigpending() & self.awaited:  # discard signals for the command, which has ended
                signal.sigwait(self.awaited)
            signal.pthread_sigmask(signal.SIG_SETMASK, self.before)

    def wait_for(self, process: int, resized: Callable[[], None]) -> int:
        """Wait for the end of `process` and return its wait status; signals that arrive meanwhile are forwarded.

        `resized` is called when the size of the terminal has changed.
        """
        while True:
            number, alone = self._next(process)
            if number == signal.SIGCHLD:
                with suppress(ChildProcessError):
                    ended, status = os.waitpid(process, os.WNOHANG)
                    if ended:
                        return status
                continue
            if number == signal.SIGWINCH:
                resized()
                os.kill(process, number)  # again, as it may have read the size before `resized` changed it
            elif number == signal.SIGTSTP:
                if alone:
                    os.kill(process, number)
                os.kill(os.getpid(), signal.SIGSTOP)
            elif alone or number == signal.SIGCONT:
                os.kill(process, number)
            if number in ENDING:
                self.asked_to_end = number

    def is_told_to_go(self) -> bool:
        """Whether a signal that asks to end is pending; after the command's end it is meant for the launcher."""
        return bool(signal.sigpending() & self.awaited & ENDING)

    def _next(self, process: int) -> tuple[int, bool]:
        """Wait for the next signal; returns its number and whether it was sent to the launcher alone."""
        if not hasattr(signal, "sigwaitinfo"):
            number = signal.sigwait(self.awaited)
            return number, not (number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP) and _in_foreground())
        found = signal.sigwaitinfo(self.awaited)
        return found.si_signo, found.si_code != _KERNEL and found.si_pid != process


def name_of(number: int) -> str:
    """The name of a signal, such as "SIGTERM"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end_like(status: int) -> int:
    """End this process by the signal in the wait `status` of another process; without a signal, return the exit code.

    Core dumps are disabled first, so that only the failed process leaves one.
    """
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number


def _in_foreground() -> bool:
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
