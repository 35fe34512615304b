"""Exceptions as recorded: the status that a run ends with, and the failure without the frames of autotrack."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress

from autotrack.events import Failure, FinalStatus
from autotrack.instrument.trampolines import FILENAME


def how_it_ended(error: BaseException) -> tuple[FinalStatus, int | None]:
    """The status of a run that ended with `error`, and the exit code if it is a `SystemExit`, else None."""
    if isinstance(error, SystemExit):
        code = error.code
        number = code if isinstance(code, int) else 0 if code is None else 1
        return ("finished" if number == 0 else "failed"), number
    if isinstance(error, KeyboardInterrupt) or _is_cancelled(error):
        return "killed", None
    if isinstance(error, GeneratorExit):
        return "finished", None
    return "failed", None


def _is_cancelled(error: BaseException) -> bool:
    """Whether `error` is the cancellation of an asyncio task, as raised by the interrupt of an async notebook cell."""
    asyncio = sys.modules.get("asyncio.exceptions")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def describe_failure(error: BaseException) -> Failure:
    """The failure of an exception: type, message, and traceback without the frames of autotrack's patches."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    message, trace = "", ""
    with suppress(Exception):  # the user's own __str__ may do anything
        message = str(error)
    with suppress(Exception):
        found = traceback.TracebackException.from_exception(error)
        _forget_our_frames(found)
        trace = "".join(found.format())
    return Failure(type=f"{module}{kind.__qualname__}", message=message, traceback=trace)


def _forget_our_frames(found: traceback.TracebackException | None) -> None:
    while found is not None:
        found.stack[:] = [frame for frame in found.stack if frame.filename != FILENAME]
        _forget_our_frames(found.__cause__)
        found = found.__context__
