"""What a command writes: text and JSON to stdout, remarks and errors to stderr, progress while it works.

In a terminal there is colour, and lines fit its width. Into a pipe or file goes plain text: no colour, nothing cut.
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

CLOSED_PIPE = 141  # what a shell reports of a program that SIGPIPE ended
BAR_AFTER = 1.0

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def prepare() -> None:
    """Write UTF-8, whatever the locale says, and remarks of libraries as one line each."""
    import warnings

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    warnings.showwarning = lambda message, *_args, **_options: say(
        f"warning: {message}".replace("warning: autotrack: ", "warning: ")
    )


def is_terminal() -> bool:
    """Whether stdout shows what is written to a person."""
    return console().is_terminal


def width() -> int | None:
    """Columns of the terminal; None where lines may be as long as they like."""
    return console().width if is_terminal() else None


@functools.cache
def console() -> Console:
    """The console of stdout, which takes text literally."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, legacy_windows=False)


def visible(text: str) -> str:
    """The text with control characters spelled out: what was recorded must not move a cursor."""
    return text.translate(_CONTROLS)


def write(text: str) -> None:
    """Write to stdout; a reader that has left ends the program quietly."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(CLOSED_PIPE) from None


def show(*lines: Text | str) -> None:
    """Write lines, with their styles where there is a terminal, which cuts none of them."""
    with console().capture() as captured:
        for line in lines:
            console().print(line, soft_wrap=True)
    write(captured.get())


def remark(*lines: str) -> None:
    """Lines that help a person and would be in the way of a program: shown, dimmed, in a terminal only."""
    if lines and is_terminal():
        from rich.text import Text

        show(*(Text(line, style="dim") for line in lines))


def say(text: str) -> None:
    """A remark on stderr."""
    try:
        print(visible(text), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed
        return


def show_json(value: Any) -> None:
    """Write plain data and shapes of `query.shapes` as JSON, indented by two spaces, in UTF-8."""
    from autotrack.query.shapes import as_json

    write(json.dumps(as_json(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def show_json_list(values: Iterator[Any]) -> None:
    """Write values as a JSON list, one per line, as they come."""
    from autotrack.query.shapes import as_json

    write("[")
    for number, value in enumerate(values):
        write((",\n " if number else "\n ") + json.dumps(as_json(value), ensure_ascii=False, allow_nan=False))
    write("\n]\n")


class Working:
    """A bar on stderr that appears when work takes longer than a second; harmless where there is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._state: tuple[int, int] = (0, 0)
        self._bar: Progress | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(BAR_AFTER, self._appear)
        self._timer.daemon = True
        self._drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Note how far the work is."""
        self._state = (done, total)
        now = time.monotonic()
        if self._bar is not None and now - self._drawn > 0.1:
            self._drawn = now
            self._draw()

    def start(self) -> None:
        """Begin to wait."""
        if sys.stderr.isatty():
            self._timer.start()

    def stop(self) -> None:
        """Take the bar away."""
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
    """Show a bar while the block works, if that takes longer than a second; call what it gives with (done, total)."""
    bar = Working(what)
    bar.start()
    try:
        yield bar
    finally:
        bar.stop()
