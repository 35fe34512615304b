"""Records evaluations of a fitted model: predictions, `score`, scorers and metric functions.

Only calls made by user code are recorded, not those that scikit-learn or an estimator makes internally.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import FrameType, FunctionType
from typing import Any

from autotrack.instrument.patching import Observer
from autotrack.integrations.sklearn import fitted_estimators, results
from autotrack.integrations.sklearn.callers import calling_frame, is_library, variable_name
from autotrack.integrations.sklearn.places import METRIC, PREDICT, SCORE, SCORER, TRAIN_TEST_SPLIT
from autotrack.integrations.sklearn.roles import note_split
from autotrack.recording.collector import collector, recording_allowed
from autotrack.recording.metrics import MetricRecorder
from autotrack.recording.run import Run, active_run, last_run

SINGLE_POINTS = 10  # calls of predict that log one point each; later, one point at each doubling of the calls
MOST_NAMES = 20

_busy: ContextVar[bool] = ContextVar("autotrack_sklearn_evaluating", default=False)
_named: weakref.WeakKeyDictionary[Run, set[str]] = weakref.WeakKeyDictionary()


class Evaluations:
    """Records predictions, scores and results of the functions of `sklearn.metrics`; `functions` are these by key."""

    def __init__(self, functions: Mapping[str, FunctionType], is_inside_fit: Callable[[], bool]) -> None:
        self._functions = functions
        self._is_inside_fit = is_inside_fit

    def observers(self) -> dict[str, Observer]:
        """The observers by key; all metric functions share the one under `METRIC`."""
        return {
            PREDICT: self._on_predict, SCORE: self._on_score, SCORER: self._on_scorer, METRIC: self._on_metric,
            TRAIN_TEST_SPLIT: self._on_split,
        }  # fmt: skip

    def _caller(self) -> FrameType | None:
        """The frame of user code that makes the call; None for a call made by a fit, an evaluation or a library."""
        if _busy.get() or self._is_inside_fit():
            return None
        frame = calling_frame()
        return None if is_library(frame) else frame

    def _on_predict(self, wrapped: Any, estimator: Any, args: Any, kwargs: Mapping[str, Any]) -> _Prediction | None:
        tied = fitted_estimators.tie_of(estimator)
        if tied is None or self._caller() is None or not tied.is_current:
            return None
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        return _Prediction(tied, wrapped.__name__, inputs)

    def _on_score(self, wrapped: Any, estimator: Any, args: Any, kwargs: Mapping[str, Any]) -> _Watch | None:
        frame = self._caller()
        if frame is None or not recording_allowed():
            return None
        inputs = args[0] if args else kwargs.get("X")
        target = args[1] if len(args) > 1 else kwargs.get("y")
        weights = args[2] if len(args) > 2 else kwargs.get("sample_weight")
        tied = fitted_estimators.tie_of(estimator)

        def record(result: Any) -> None:
            if tied is not None and tied.is_current and results.is_number(result):
                prefix = tied.role(target, inputs) or "eval"
                name = variable_name(frame, "score", 0, "X", inputs)
                _log(tied, prefix, {score_name(estimator) + _suffix(weights): result}, name)

        return _Watch(record)

    def _on_scorer(self, wrapped: Any, scorer: Any, args: Any, kwargs: Mapping[str, Any]) -> _Watch | None:
        frame = self._caller()
        if frame is None or not recording_allowed():
            return None
        given = dict(zip(("estimator", "X", "y_true", "sample_weight"), args, strict=False)) | dict(kwargs)
        estimator, inputs, target = given.get("estimator"), given.get("X"), given.get("y_true")
        tied = fitted_estimators.tie_of(estimator)

        def record(result: Any) -> None:
            if tied is None or not tied.is_current:
                return
            values = result if type(result) is dict else {_scorer_name(scorer, estimator): result}
            prefix = tied.role(target, inputs) or "eval"
            name = variable_name(frame, frame.f_code.co_name, 1, "X", inputs)
            suffix = _suffix(given.get("sample_weight"))
            kept = {f"{key}{suffix}": value for key, value in values.items() if results.is_number(value)}
            _log(tied, prefix, kept, name)

        return _Watch(record)

    def _on_metric(self, wrapped: Any, _: Any, args: Any, kwargs: Mapping[str, Any]) -> _Watch | None:
        frame = self._caller()
        if frame is None or not recording_allowed():
            return None
        function = self._functions[METRIC + wrapped.__name__]
        return _Watch(lambda result: _Metric(function, args, kwargs, frame).record(result))

    def _on_split(self, wrapped: Any, _: Any, args: Any, kwargs: Mapping[str, Any]) -> _Watch:
        return _Watch(lambda result: note_split(args, result), busy=_busy.get())


class _Watch:
    """Suppresses the recording of nested calls during a call, then passes its result to `record`."""

    __slots__ = ("_before", "_record")

    def __init__(self, record: Callable[[Any], None], *, busy: bool = True) -> None:
        self._record = record
        self._before = _busy.get()
        _busy.set(busy)

    def returned(self, result: Any) -> None:
        _busy.set(self._before)
        self._record(result)

    def raised(self, error: BaseException) -> None:
        _busy.set(self._before)


class _Prediction:
    """Watch of a call of `predict` or a similar method: remembers its output and logs its latency."""

    __slots__ = ("_begun", "_inputs", "_name", "_tie")

    def __init__(self, tied: fitted_estimators.FittedEstimator, name: str, inputs: Any) -> None:
        self._tie = tied
        self._name = name
        self._inputs = inputs
        _busy.set(True)
        self._begun = time.perf_counter()

    def returned(self, result: Any) -> None:
        seconds = time.perf_counter() - self._begun
        _busy.set(False)
        tied, inputs = self._tie, self._inputs
        fitted_estimators.note_output(result, tied, inputs, self._name)
        shape = getattr(inputs, "shape", None)
        rows = shape[0] if shape else len(inputs) if type(inputs) in (list, tuple) else 0
        if not rows:
            return
        latency = tied.calls.get(self._name)
        if latency is None:
            latency = tied.calls[self._name] = fitted_estimators.Latency()
        latency.calls += 1
        latency.rows += rows
        latency.seconds += seconds
        if (latency.calls <= SINGLE_POINTS or not latency.calls & (latency.calls - 1)) and recording_allowed():
            tied.training.log({f"{self._name}/latency_ms": 1000 * latency.seconds / latency.rows})
            latency.rows, latency.seconds = 0, 0.0

    def raised(self, error: BaseException) -> None:
        _busy.set(False)


class _Metric:
    """A call of a metric function that has returned: determines the metric's name and run, and records the result."""

    def __init__(self, function: FunctionType, args: Any, kwargs: Mapping[str, Any], frame: FrameType) -> None:
        self._function = function.__name__
        self._given = results.given_to(function, args, kwargs)
        self._name = results.short_name(self._function) + results.variation(function, self._given)
        self._frame = frame

    def record(self, result: Any) -> None:
        """Record `result` in the run of the model whose predictions were passed to the metric function."""
        known = [output for value in self._given.values() if (output := fitted_estimators.output_of(value)) is not None]
        tied = {output.tie for output in known if output.tie.is_current}
        parameter, position = results.data_of(self._given)
        data = self._given.get(parameter)
        variable = variable_name(self._frame, self._function, position, parameter, data)
        if len(tied) != 1:
            self._record_untied(result, variable)
            return
        (one,) = tied
        first = known[0]
        prefix = first.prefix
        if not prefix:
            compared = None if fitted_estimators.output_of(data) is not None else data
            seen = all(output.seen for output in known)
            prefix = one.role(compared, *(output.data for output in known), seen=seen) or "eval"
        elif first.made_by:
            self._name = f"{first.made_by}.{self._name}"
        self._record_in(one.training, prefix, result, variable, one)

    def _record_in(
        self,
        recorder: MetricRecorder,
        prefix: str,
        result: Any,
        variable: str,
        tied: fitted_estimators.FittedEstimator | None,
    ) -> None:
        numbers = results.numbers_of(self._function, self._name, result)
        if numbers is not None:
            _log(tied, prefix, numbers, variable) if tied is not None else _log_in(recorder, prefix, numbers)
            return
        try:
            columns, left_out = results.columns_of(self._function, result, self._given)
        except results.Unkept as reason:
            recorder.report("metrics", f"{self._function}: {reason}")
            return
        meta = {"function": self._function, "data": variable, "rows": left_out}
        recorder.log_evaluation(f"{prefix}/{self._name}", columns, {key: text for key, text in meta.items() if text})
        if tied is not None and type(result) is tuple:
            fitted_estimators.note_output(result, tied, None, results.short_name(self._function), prefix)

    def _record_untied(self, result: Any, variable: str) -> None:
        """Record a result of no known model in the active run, else in the only run of this thread; else report it."""
        run = active_run()
        last = last_run(collector(), threading.get_ident())
        if run is None and last is not None and last.id == fitted_estimators.only_run_of_thread():
            run = last
        if run is not None:
            self._record_in(run, "eval", result, variable, None)
            _report_once(run, self._name, f"{self._function} was not given predictions of a recorded model: its result "
                         "is recorded in the run that was at hand", level="info")  # fmt: skip
        elif last is not None:
            shown = f" = {result}" if results.numbers_of(self._function, self._name, result) else ""
            _report_once(last, self._name, f"{self._function}{shown} is in no run: it was not given predictions of a "
                         "recorded model, and there are several models")  # fmt: skip


def score_name(estimator: Any) -> str:
    """The metric that the estimator's `score` computes: `accuracy`, `r2`, its scorer's name, or `score` if unknown."""
    for kind in type(estimator).__mro__:
        defined = vars(kind).get("score")
        if defined is not None:  # which may be another tracker's stand-in for an inherited one
            module = getattr(defined, "__module__", kind.__module__)
            if module == "sklearn.base":
                owner = getattr(defined, "__qualname__", "").partition(".")[0]
                return {"ClassifierMixin": "accuracy", "RegressorMixin": "r2"}.get(owner, "score")
            if module == "sklearn.pipeline" and estimator.steps:
                return score_name(estimator.steps[-1][1])
            if module == "sklearn.neighbors._classification":
                return "accuracy"
            if module == "sklearn.model_selection._search":
                scoring = estimator.scoring
                if scoring is None:
                    return score_name(estimator.estimator)
                return scoring if isinstance(scoring, str) else "score"
            break
    return "score"


def _suffix(weights: Any) -> str:
    """What the name of a metric ends in that was computed with `weights` of the rows."""
    return "" if weights is None else f".{results.WEIGHTED}"


def _scorer_name(scorer: Any, estimator: Any) -> str:
    function = getattr(scorer, "_score_func", None)
    if function is None:
        return score_name(estimator)
    options = getattr(scorer, "_kwargs", None) or {}
    sign = "neg_" if getattr(scorer, "_sign", 1) < 0 else ""
    name = getattr(function, "__name__", type(function).__name__)
    return f"{sign}{results.short_name(name)}{results.variation(function, options)}"


def _log(tied: fitted_estimators.FittedEstimator, prefix: str, values: Mapping[str, Any], variable: str) -> None:
    """Log metrics of the model of `tied`; where the data's role is unknown, the variable's name goes into a tag."""
    _log_in(tied.training, prefix, values)
    if prefix != "eval" or not variable:
        return
    for name in values:
        names = tied.named.setdefault(name, [])
        if variable not in names and len(names) < MOST_NAMES:
            names.append(variable)
            tied.training.set_tags({f"eval/{name}.data": ", ".join(names)})


def _log_in(recorder: MetricRecorder, prefix: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        recorder.log({f"{prefix}/{name}": value})


def _report_once(run: Run, name: str, message: str, level: str = "missing") -> None:
    names = _named.setdefault(run, set())
    if name not in names:
        names.add(name)
        run.report("metrics", message, level=level)
