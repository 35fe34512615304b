"""Finds the caller of an observed call (user code or scikit-learn itself) and the variable name of its data argument.

The name of a variable is read from the source of the call. The locals of the calling function are not looked at:
asking a frame for them makes it hold all their values until it ends.
"""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
import sys
from types import CodeType, FrameType
from typing import Any

from autotrack.instrument.trampolines import FILENAME

MOST_VARIABLES = 2_000
MOST_LINES = 20

TRACKERS = frozenset({"mlflow", "wandb", "comet_ml", "neptune", "dvclive", "aim", "clearml", "swanlab", "trackio"})

# Stand-ins of other trackers: modules, and how their functions' names begin; those compiled from text have no module.
_HANDING_ON = (("mlflow.utils.autologging_utils", ""), ("mlflow.sklearn", "patched_"), ("comet_ml.monkey_patching", ""))
_COMPILED = {"safe_patch_function"}


def calling_frame() -> FrameType | None:
    """The frame that called the observed function: the innermost one that neither is ours nor hands the call on."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (_is_ours(frame) or _hands_on(frame)):
        frame = frame.f_back
    return frame


def is_library(frame: FrameType | None) -> bool:
    """Whether `frame` runs code of scikit-learn, or of a tracker that computes for itself: not the program's call."""
    name = "" if frame is None else frame.f_globals.get("__name__")
    return type(name) is str and (name.startswith("sklearn.") or name.partition(".")[0] in TRACKERS)


def _hands_on(frame: FrameType) -> bool:
    """Whether `frame` is another tracker's stand-in for the observed function."""
    name, function = frame.f_globals.get("__name__"), frame.f_code.co_name
    if name is None:
        return function in _COMPILED
    return type(name) is str and any(
        name.startswith(module) and function.startswith(start) for module, start in _HANDING_ON
    )


def _is_ours(frame: FrameType) -> bool:
    """Whether `frame` is autotrack's; stand-ins have the original's globals and are recognised by their file name."""
    name = frame.f_globals.get("__name__")
    return (type(name) is str and name.startswith("autotrack.")) or frame.f_code.co_filename == FILENAME


def variable_name(frame: FrameType | None, called: str, position: int, keyword: str, value: Any) -> str:
    """The name of the variable that `frame` passes as an argument in its current call of `called`; empty if unsure."""
    if frame is None:
        return ""
    call = _call_at(frame.f_code, frame.f_lasti)
    if call is not None and _name_of(call.func) == called:
        given: ast.expr | None = next((word.value for word in call.keywords if word.arg == keyword), None)
        if given is None and not any(isinstance(part, ast.Starred) for part in call.args):
            given = call.args[position] if position < len(call.args) else None
        return given.id if isinstance(given, ast.Name) and _knows(frame.f_code, given.id) else ""
    return _global_name(frame, value)


def _global_name(frame: FrameType, value: Any) -> str:
    """The name of the only module-level variable that holds `value`; empty if `frame` is not at module level."""
    variables = frame.f_globals
    if frame.f_code.co_name != "<module>" or len(variables) > MOST_VARIABLES:
        return ""
    found = [name for name, held in tuple(variables.items()) if held is value and not name.startswith("_")]
    return found[0] if len(found) == 1 else ""


@functools.lru_cache(maxsize=512)
def _call_at(code: CodeType, instruction: int) -> ast.Call | None:
    """The call expression at a bytecode instruction, parsed from the source; None if unknown or before Python 3.11."""
    if instruction < 0 or not hasattr(code, "co_positions"):
        return None
    where = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    if where is None:
        return None
    line, last, start, end = where
    if line is None or last is None or start is None or end is None or last - line >= MOST_LINES:
        return None
    lines = [linecache.getline(code.co_filename, number).encode() for number in range(line, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        found = ast.parse(b"".join(lines), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return found if isinstance(found, ast.Call) else None


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _knows(code: CodeType, name: str) -> bool:
    return name in code.co_names or name in code.co_varnames or name in code.co_freevars or name in code.co_cellvars
