"""Finishing open runs when the process ends: by an exception, interrupt, signal, `sys.exit` or normally."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn

from autotrack._guard import guarded
from autotrack.events import FinalStatus
from autotrack.recording import messages, notebook
from autotrack.recording.collector import Collector
from autotrack.recording.failures import how_it_ended
from autotrack.recording.run import open_runs
from autotrack.schedulers import status_of_termination


class Ending:
    """The hooks for the end of this process, and the exception that ends it, with which `finish_all` ends the runs."""

    def __init__(self, owner: Collector) -> None:
        self.owner = owner
        self.process = os.getpid()
        self.error: BaseException | None = None
        self.previous_hook = sys.excepthook

    def on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Replacement of `sys.excepthook`: store the exception, then call the previous hook."""
        if not hasattr(sys, "ps1"):  # an exception at an interactive prompt does not end the process
            self.error = error
        self.previous_hook(kind, error, trace)

    def exit(self, status: Any = None, /) -> NoReturn:
        """Replacement of `sys.exit`, whose exception records itself when it ends the program."""
        raise _Exit(self, *(status if isinstance(status, tuple) else (status,)))

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handler of SIGTERM and SIGHUP: finish the open runs, then end the process by the same signal."""
        status = status_of_termination(os.environ)
        with guarded("recording the end by a signal"):
            if os.getpid() == self.process:  # a forked child inherits this handler but has no runs to finish
                self.finish_all(status)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def at_exit(self) -> None:
        """At the exit of the interpreter (`atexit`): finish the open runs and wait for pending work."""
        if os.getpid() != self.process:
            return
        with guarded("finishing at exit"):
            shell = notebook.session()
            if shell is not None:
                shell.end_what_failed()
            status, code = ("finished", None) if self.error is None else how_it_ended(self.error)
            self.finish_all(status, exit_code=code)
        if isinstance(self.error, KeyboardInterrupt) and not hasattr(sys, "ps1"):
            _end_as_interrupted()

    def finish_all(self, status: FinalStatus, exit_code: int | None = None) -> None:
        """Wait up to `exit_timeout` for background work, finish all open runs, and deliver to sinks."""
        failure = self.error if status == "failed" else None
        wait_for_background(self.owner)
        shell = notebook.session()
        if shell is not None:
            shell.keep_the_rest()
        for run in reversed(open_runs(self.owner)):
            run.finish(status, failure=failure, exit_code=exit_code)
        with guarded("reading metrics from the GPU"):
            self.owner.deferred.drain(wait=True)  # rows of runs that another process owns; `finish` drains for its own
        journal = self.owner.current_journal
        if journal is not None:
            journal.heartbeat()
            self.owner.report_dropped()
            lost = journal.waiting + sum(journal.dropped.values())
            if lost:
                messages.say(f"{lost:,} facts are lost: there was no room for them on the disk to the end")
        deliver_the_rest(self.owner)
        messages.closing(self.owner)


_code_of: Any = vars(SystemExit)["code"].__get__


class _Exit(SystemExit):
    """The exception of `sys.exit`. It never reaches `sys.excepthook`, but the interpreter reads its `code`.

    At that moment there is no calling Python frame: so the exception was not caught and ends the program.
    """

    def __init__(self, ending: Ending, *status: Any) -> None:
        super().__init__(*status)
        self._ending = ending

    @property
    def code(self) -> Any:  # type: ignore[override]
        code = _code_of(self)
        try:
            sys._getframe(1)
        except ValueError:
            self._ending.error = SystemExit(code)
        return code

    def __reduce__(self) -> Any:
        return SystemExit, self.args


_Exit.__name__ = _Exit.__qualname__ = "SystemExit"
_Exit.__module__ = "builtins"


def _end_as_interrupted() -> None:
    """Make the interpreter end by SIGINT, as it does after an uncaught `KeyboardInterrupt`.

    CPython keeps this in a flag that every `exec` or `eval` of source text resets, such as that of a dataclass in a
    module imported at exit. An `exec` that a `KeyboardInterrupt` leaves sets the flag again.
    """
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")


def wait_for_background(owner: Collector) -> None:
    """Wait up to `exit_timeout` for background tasks; after a second print their names, and let Ctrl-C end the wait.

    Tasks that are not done are named in the capture report of the open runs.
    """
    waiting = owner.background.wait(1.0)
    if not waiting:
        return
    names = ", ".join(dict.fromkeys(waiting))
    messages.say(f"waiting for {names} (Ctrl-C leaves now)")
    deadline = time.monotonic() + owner.settings.exit_timeout
    with suppress(KeyboardInterrupt):
        while waiting and time.monotonic() < deadline:
            waiting = owner.background.wait(0.2)
    for run in owner.open_runs.values():
        for what in dict.fromkeys(waiting):
            run.report(what, "was not done when the process ended")
    if waiting:
        messages.say(f"left without {', '.join(dict.fromkeys(waiting))}; the capture report names it")


def deliver_the_rest(owner: Collector) -> None:
    """Wait up to `exit_timeout` for delivery to remote sinks; print which are left for `autotrack sync`."""
    courier = owner.courier
    if courier is None:
        return
    left = courier.finish(1.0)
    if left:
        messages.say(f"delivering to {', '.join(left)} (Ctrl-C leaves now; nothing is lost)")
        with suppress(KeyboardInterrupt):
            left = courier.finish(owner.settings.exit_timeout)
    if left:
        messages.say(f"not everything reached {', '.join(left)}; it is kept here, and sent by: autotrack sync")


_endings: dict[int, Ending] = {}  # by the process that installed it, as a forked child inherits its parent's


def install(owner: Collector) -> None:
    """Install the hooks that finish the runs of `owner` when this process ends, once; signal handlers if none was set.

    After a reset, the hooks that are there finish the runs of the new collector.
    """
    installed = _endings.get(os.getpid())
    if installed is not None:
        installed.owner = owner
        return
    ending = _endings[os.getpid()] = Ending(owner)
    atexit.register(ending.at_exit)
    sys.excepthook = ending.on_exception
    sys.exit = ending.exit
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number: Any = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, ending.on_signal)
                _handled.add(number)


# A signal with a Python handler is lost if it reaches a forked child before Python has initialised it: a worker that
# its pool terminates right away would live on, and the pool would wait for it. So these signals are blocked during
# `fork`, and the child gets the default handlers that it would have without autotrack.
_handled: set[int] = set()
_mask = threading.local()


def _before_fork() -> None:
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, _handled) if _handled else None


def _after_fork() -> None:
    before, _mask.before = getattr(_mask, "before", None), None
    if before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _after_fork_in_child() -> None:
    with suppress(ValueError):  # handlers can only be set in the main thread; elsewhere Python itself deals with them
        for number in _handled:
            if isinstance(getattr(signal.getsignal(number), "__self__", None), Ending):
                signal.signal(number, signal.SIG_DFL)
    _handled.clear()
    _after_fork()


if hasattr(os, "register_at_fork") and hasattr(signal, "pthread_sigmask"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
