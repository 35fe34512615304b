"""Waiting for a launched command, and passing on to it what the launcher is told by signals.

Command and launcher are in one process group, so that the terminal's Ctrl-C and Ctrl-Z reach both by themselves; only
what was sent to the launcher alone is passed on.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_KERNEL = 128  # the origin of a signal that a terminal sent, to the whole group
RESTORED = [signal.SIGPIPE, *([signal.SIGXFSZ] if hasattr(signal, "SIGXFSZ") else [])]  # which Python ignores
SCHEDULERS = frozenset({signal.SIGTERM, signal.SIGHUP})
ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})


class Signals:
    """The signals that a launcher waits for, in place of being interrupted by them.

    Used as a context, before there is a second thread. `before` is the mask that the command is to start with.
    """

    def __init__(self) -> None:
        ignored = [name for name in _PASSED_ON if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN]
        names = [name for name in _PASSED_ON if name not in ignored]
        self.awaited = {getattr(signal, name) for name in (*names, "SIGWINCH", "SIGTSTP", "SIGCONT", "SIGCHLD")}
        self.before: set[int] = set()
        self.asked_to_end: int | None = None

    @contextmanager
    def held(self) -> Iterator[Signals]:
        """Hold the signals back until they are waited for; afterwards they act as they do in any Python."""
        for number in (signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT):
            signal.signal(number, lambda *_: None)  # or a system may drop what would be ignored anyway
        self.before = set(signal.pthread_sigmask(signal.SIG_BLOCK, self.awaited))
        try:
            yield self
        finally:
            while signal.sigpending() & self.awaited:  # said to the command, which has ended
                signal.sigwait(self.awaited)
            signal.pthread_sigmask(signal.SIG_SETMASK, self.before)

    def wait_for(self, process: int, resized: Callable[[], None]) -> int:
        """The wait status of `process` when it has ended; what arrives meanwhile is passed on to it."""
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
                os.kill(process, number)  # once more: the first time it may have looked too early
            elif number == signal.SIGTSTP:
                if alone:
                    os.kill(process, number)
                os.kill(os.getpid(), signal.SIGSTOP)
            elif alone or number == signal.SIGCONT:
                os.kill(process, number)
            if number in ENDING:
                self.asked_to_end = number

    def is_told_to_go(self) -> bool:
        """Whether somebody wants the launcher itself to end, after the command has."""
        return bool(signal.sigpending() & self.awaited & ENDING)

    def _next(self, process: int) -> tuple[int, bool]:
        """The next signal, and whether it came to the launcher alone."""
        if not hasattr(signal, "sigwaitinfo"):
            number = signal.sigwait(self.awaited)
            return number, not (number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP) and _in_foreground())
        found = signal.sigwaitinfo(self.awaited)
        return found.si_signo, found.si_code != _KERNEL and found.si_pid != process


def name_of(number: int) -> str:
    """The name of a signal, as SIGTERM."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end_like(status: int) -> int:
    """End this process by the signal that ended another, if one did; else its exit code.

    A core is left by the one that failed, not by the launcher too.
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
