"""Evaluations: `evaluate` outside of validation belongs to the run of the model that it evaluates."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import FrameType
from typing import Any

from autotrack.instrument.trampolines import FILENAME
from autotrack.integrations.keras.calls import Call
from autotrack.integrations.keras.fitting import Fit, last_fit
from autotrack.recording.collector import collector
from autotrack.recording.metrics import MetricRecorder
from autotrack.recording.run import active_run

_ARGUMENT = re.compile(r"\bevaluate\(\s*(?:x\s*=\s*)?([A-Za-z_]\w*)")
_ROLES = (
    ("test", re.compile(r"(^|_)(test|testing|holdout)(_|\d|$)")),
    ("val", re.compile(r"(^|_)(val|valid|validation|dev)(_|\d|$)")),
    ("train", re.compile(r"(^|_)(train|training)(_|\d|$)")),
)


class EvaluateCall:
    """One outermost call of `evaluate`; `fit` is the training that the model is in, or was in last."""

    def __init__(
        self, model: Any, recorder: MetricRecorder, fit: Fit | None, current: ContextVar[EvaluateCall | None]
    ) -> None:
        self._model = model
        self._recorder = recorder
        self._fit = fit
        self._current = current
        self._role = ""
        self._logs: Mapping[str, Any] = {}

    @classmethod
    def of(cls, model: Any, around: Fit | None, current: ContextVar[EvaluateCall | None]) -> EvaluateCall | None:
        """The evaluation to record for this model; None if there is no run that it belongs to."""
        fit = around if around is not None and around.is_of(model) else last_fit(model)
        if fit is not None and fit.training is not None and fit.training.collector is collector():
            return cls(model, fit.training, fit, current)
        run = active_run()
        return None if run is None else cls(model, run, None, current)

    def begin(self, call: Call | None) -> None:
        """Make this the current evaluation, and find out the role of its data."""
        self._current.set(self)
        inputs = call.data.get("x") if call is not None else None
        known = self._fit.data.role_of(inputs) if self._fit is not None and inputs is not None else ""
        self._role = known or _role_by_name(sys._getframe(1))

    def heard(self, model: Any, logs: Mapping[str, Any] | None) -> None:
        """Keep the `logs` of the end of an evaluation, if it is one of this model."""
        if self._model is model:
            self._logs = logs or {}

    def returned(self, result: Any) -> None:
        self._current.set(None)
        step = None
        if self._fit is not None and self._fit.epochs is not None:
            step = self._fit.epochs.step
        numbers = {f"{self._role}/{key}": value for key, value in self._logs.items() if isinstance(value, (int, float))}
        if self._fit is not None and self._fit.active:
            self._fit.evaluations += 1
        if numbers:
            self._recorder.log(numbers, step)

    def raised(self, error: BaseException) -> None:
        self._current.set(None)


def _is_on_the_way(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__")
    inside = type(module) is str and module.startswith(("keras.", "autotrack."))
    return inside or frame.f_code.co_filename == FILENAME


def _role_by_name(frame: FrameType | None) -> str:
    """The role that the caller's variable name suggests, read from the source line of the call; else "eval"."""
    while frame is not None and _is_on_the_way(frame):
        frame = frame.f_back
    if frame is None:
        return "eval"
    found = _ARGUMENT.search(linecache.getline(frame.f_code.co_filename, frame.f_lineno))
    name = found.group(1).lower() if found else ""
    return next((role for role, words in _ROLES if words.search(name)), "eval")
