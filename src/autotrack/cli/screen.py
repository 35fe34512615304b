"""The output of commands: text and JSON on stdout, remarks and errors on stderr, and a progress bar.

In a terminal there is colour, and lines fit its width. In a pipe or file the text is plain: no colour, nothing cut.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

CLOSED_PIPE = 141  # the exit code that a shell reports for a program ended by SIGPIPE
BAR_AFTER = 1.0

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def prepare() -> None:
    """Make stdout and stderr UTF-8 in any locale, and show warnings of libraries as one line each."""
    import warnings

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    warnings.showwarning = lambda message, *_args, **_options: say(
        f"warning: {message}".replace("warning: autotrack: ", "warning: ")
    )


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    return console().is_terminal


def width() -> int | None:
    """The width of the terminal in columns; None if stdout is none, where lines have no limit."""
    return console().width if is_terminal() else None


@functools.cache
def console() -> Console:
    """The Rich console of stdout, which prints text literally, without markup or highlighting."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, legacy_windows=False)


def visible(text: str) -> str:
    """The text with control characters spelled out: recorded text must not move the cursor."""
    return text.translate(_CONTROLS)


def write(text: str) -> None:
    """Write to stdout; if the reader closed the pipe, exit with `CLOSED_PIPE` and no message."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(CLOSED_PIPE) from None


def show(*lines: Text | str) -> None:
    """Write lines to stdout without wrapping or cutting them, styled if it is a terminal."""
    with console().capture() as captured:
        for line in lines:
            console().print(line, soft_wrap=True)
    write(captured.get())


def remark(*lines: str) -> None:
    """Write dimmed lines, in a terminal only: hints for a user that would disturb a program reading the output."""
    if lines and is_terminal():
        from rich.text import Text

        show(*(Text(line, style="dim") for line in lines))


def say(text: str) -> None:
    """Write a line to stderr; does nothing if that is closed."""
    try:
        print(visible(text), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed
        return


def show_json(value: Any) -> None:
    """Write plain data and shapes of `query.shapes` as JSON, indented by two spaces, in UTF-8."""
    from autotrack.query.shapes import as_json

    write(json.dumps(as_json(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def show_json_list(values: Iterator[Any]) -> None:
    """Write values as a JSON list, one per line, each as soon as it is produced."""
    from autotrack.query.shapes import as_json

    write("[")
    for number, value in enumerate(values):
        write((",\n " if number else "\n ") + json.dumps(as_json(value), ensure_ascii=False, allow_nan=False))
    write("\n]\n")


class Working:
    """A progress bar on stderr that appears after a second of work; does nothing if stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._state: tuple[int, int] = (0, 0)
        self._bar: Progress | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(BAR_AFTER, self._appear)
        self._timer.daemon = True
        self._drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Update the progress to `done` of `total`."""
        self._state = (done, total)
        now = time.monotonic()
        if self._bar is not None and now - self._drawn > 0.1:
            self._drawn = now
            self._draw()

    def start(self) -> None:
        """Start the timer that makes the bar appear."""
        if sys.stderr.isatty():
            self._timer.start()

    def stop(self) -> None:
        """Cancel the timer and remove the bar."""
        self._timer.cancel()
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
            self._bar = None
            self._what = ""

    def _appear(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
        )
        with self._lock:
            if not self._what:
                return
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task(self._what, total=None)
            self._bar.start()
        self._draw()

    def _draw(self) -> None:
        bar, (done, total) = self._bar, self._state
        if bar is not None and total:
            bar.update(bar.task_ids[0], completed=done, total=total)


@contextmanager
def working(what: str) -> Iterator[Working]:
    """Show a progress bar during the block if it takes longer than a second; yields the callback for (done, total)."""
    bar = Working(what)
    bar.start()
    try:
        yield bar
    finally:
        bar.stop()
