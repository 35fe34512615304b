"""CatBoost: each fit is a training, by `catboost.train` or by a model's `fit`; each `catboost.cv` is one, too.

CatBoost exposes its evaluations only at the end, unless the fit has callbacks: only then are they recorded during the
training.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from autotrack._guard import guarded
from autotrack.integrations.base import Integration
from autotrack.recording.fingerprint import describe
from autotrack.training import boosting
from autotrack.training.boosting import Boosting, TrainingWatch

FIT, CV, ITERATION = "catboost.fit", "catboost.cv", "catboost.iteration"
MOST_NAMES = 1_000
LEARN = "learn"
_NO_PARAMETERS = ("X", "y", "eval_set", "log_cout", "log_cerr")
_NO_CV_PARAMETERS = ("pool", "dtrain", "folds", "log_cout", "log_cerr")


class _Training(Boosting):
    """The state of one CatBoost training: metric period, iterations requested and reached, values logged per metric."""

    period: int = 1
    asked: int = 0
    reached: int = 0
    recorded: dict[tuple[str, str], int]


class CatboostIntegration(Integration):
    """Records every outermost fit and `cv`, except in an estimator's fit recorded by the scikit-learn integration."""

    watches: ClassVar[tuple[str, ...]] = ("catboost.core",)
    distribution: ClassVar[str] = "catboost"
    requires: ClassVar[str] = ">=1.2"

    def install(self) -> None:
        """Observe `CatBoost._fit`, which every fit calls, the callbacks of a fit, and `cv`."""
        core = sys.modules.get("catboost.core")
        if core is None:
            return
        self.patches.observe(FIT, self._on_fit)
        self.patches.observe(CV, self._on_cv)
        self.patches.observe(ITERATION, self._on_iteration)
        self.patches.method(core.CatBoost, "_fit", FIT)
        self.patches.method(core._TrainCallbacksWrapper, "after_iteration", ITERATION)
        self.patches.function(core.cv, CV)

    def _on_fit(self, wrapped: Any, model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> TrainingWatch[Any]:
        begun = boosting.begin(_Training, "catboost", type(model).__name__, self.options)
        if begun is None:
            return boosting.step_aside()
        begun.recorded = {}
        with guarded("what a training was given"):
            given, chosen, default = boosting.call_params(wrapped, (model, *args), kwargs, _NO_PARAMETERS)
            chosen = {name: value for name, value in chosen.items() if value is not None}
            begun.log_params(
                {
                    "model.class": type(model).__qualname__,
                    "model.module": type(model).__module__,
                    **chosen,
                    "params": model._init_params,
                },
                {name: value for name, value in default.items() if value is not None},
                "fit",
            )
            begun.period = chosen.get("metric_period") or model._init_params.get("metric_period") or 1
            sets = list(_sets(given["eval_set"]))
            begun.evaluates([(name, False) for name, _ in sets])
            begun.name_set(LEARN, "train")
            _log_data(begun, "X", given["X"], "train")
            if given["y"] is not None:
                _log_data(begun, "y", given["y"], "train")
                begun.takes(given["X"])
            for name, data in sets:
                _log_data(begun, name, data, "")
        return TrainingWatch(begun, lambda begun, result: _fitted(begun, model))

    def _on_cv(
        self, wrapped: Any, nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> TrainingWatch[Any]:
        begun = boosting.begin(_Training, "catboost", "catboost-cv", self.options)
        if begun is None:
            return boosting.step_aside()
        with guarded("what a cross-validation was given"):
            given, chosen, default = boosting.call_params(wrapped, args, kwargs, _NO_CV_PARAMETERS)
            default = {name: value for name, value in default.items() if value is not None}
            begun.log_params(chosen, default, "cv")
            begun.name_set("train", "train")
            begun.name_set("test", "val")
            _log_data(begun, "pool", given["pool"] if given["dtrain"] is None else given["dtrain"], "train")
            begun.end["folds"] = _folds(given)
        return TrainingWatch(begun, _validated)

    def _on_iteration(
        self, wrapped: Any, callbacks: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Iteration | None:
        begun = boosting.present(_Training)
        if begun is None:
            return None
        info = args[0] if args else kwargs["info"]
        begun.reached = info.iteration
        _log_new(begun, info.metrics, info.iteration - 1)
        return _Iteration(begun, callbacks)


class _Iteration:
    """Watch of `after_iteration`: notes which callback stopped the training."""

    def __init__(self, begun: _Training, callbacks: Any) -> None:
        self._begun = begun
        self._callbacks = callbacks

    def returned(self, goes_on: Any) -> None:
        if not goes_on:
            names = [boosting.name_of(one) for one in self._callbacks._callbacks]
            self._begun.stopped_by = names[0] if len(names) == 1 else "one of " + ", ".join(names)

    def raised(self, error: BaseException) -> None:
        """Note a KeyboardInterrupt: the surrounding fit raises an error of CatBoost's own in its place."""
        self._begun.interrupted = isinstance(error, KeyboardInterrupt)


def _log_new(begun: _Training, metrics: Mapping[str, Mapping[str, list[float]]], step: int) -> None:
    """Log the latest value of each metric that has more values than have been recorded."""
    values: dict[str, float] = {}
    for data, found in metrics.items():
        for metric, scores in found.items():
            if len(scores) > begun.recorded.get((data, metric), 0):
                begun.recorded[data, metric] = len(scores)
                values[begun.key(data, metric)] = float(scores[-1])
    if values:
        begun.log(values, step)


def _fitted(begun: _Training, model: Any) -> None:
    with guarded("the configuration of a training"):
        configuration = model.get_all_params()
        begun.asked = int(configuration.get("iterations", 0))
        begun.training.log_params({"config": configuration}, origin="config")
    with guarded("the evaluations of a training"):
        results = model.get_evals_result()
        _log_rest(begun, results)
        _note_end(begun, model)
    with guarded("feature importances"):
        importances = model.feature_importances_
        if importances.ndim == 1 and len(importances) == len(model.feature_names_):
            boosting.keep_importances(begun, model.feature_names_, {"importance": importances.tolist()})
    with guarded("saving the model"):
        names = model.feature_names_
        inputs = {"kind": "frame", "columns": [{"name": name} for name in names[:MOST_NAMES]], "count": len(names)}
        boosting.keep_model(begun, "catboost", model, inputs)


def _log_rest(begun: _Training, results: Mapping[str, Mapping[str, list[float]]]) -> None:
    """Log the evaluations that were not logged during the training, at their iterations."""
    longest = max((len(scores) for found in results.values() for scores in found.values()), default=0)
    begun.reached = begun.reached or (longest if begun.period == 1 else max(longest, _reached(begun, longest)))
    steps = {begun.reached: range(begun.reached)}
    some = sorted({*range(0, begun.reached, begun.period), begun.reached - 1})
    steps.setdefault(len(some), some)  # type: ignore[arg-type]
    rows: dict[int, dict[str, float]] = {}
    for data, found in results.items():
        for metric, scores in found.items():
            already = begun.recorded.get((data, metric), 0)
            if len(scores) not in steps:
                begun.training.report("evaluations", f"not kept: the iterations of {data} {metric} are not known")
                continue
            for step, score in list(zip(steps[len(scores)], scores, strict=True))[already:]:
                rows.setdefault(step, {})[begun.key(data, metric)] = float(score)
    for step in sorted(rows):
        begun.log(rows[step], step)
    if rows:
        message = "recorded when the training had ended: before, CatBoost tells them to callbacks only"
        begun.training.report("evaluations", message, level="info")


def _reached(begun: _Training, longest: int) -> int:
    """The number of iterations if only every `period`-th was evaluated: all requested ones if their count fits."""
    expected = len({*range(0, begun.asked, begun.period), begun.asked - 1})
    return begun.asked if longest == expected else longest


def _note_end(begun: _Training, model: Any) -> None:
    begun.end["iterations"] = begun.reached
    step, scores = model.best_iteration_, model.best_score_
    if step is not None:
        data = [LEARN, *(name for name in scores if name != LEARN)][-1]  # CatBoost judges by the last set
        metric = _judge(model, scores[data])
        begun.best(int(step), begun.key(data, metric), float(scores[data][metric]))
    if begun.reached < begun.asked and not begun.stopped_by:
        begun.stopped_by = "overfitting detector"


def _judge(model: Any, scores: Mapping[str, float]) -> str:
    configuration = model.get_all_params()
    for name in (configuration.get("eval_metric"), configuration.get("loss_function")):
        if name in scores:
            return str(name)
    return next(iter(scores))


def _validated(begun: _Training, result: Any) -> None:
    table = result[0] if isinstance(result, tuple) else result
    columns = {str(name): list(table[name]) for name in table}
    steps = [int(step) for step in columns.pop("iterations", ())]
    begun.end["iterations"] = steps[-1] + 1 if steps else 0
    names = {name: key for name in columns if (key := _cv_key(begun, name))}
    for number, step in enumerate(steps):
        begun.log({key: float(columns[name][number]) for name, key in names.items()}, step)
    if steps:
        message = "recorded when the cross-validation had ended: CatBoost does not tell them before"
        begun.training.report("evaluations", message, level="info")


def _cv_key(begun: _Training, name: str) -> str:
    """The metric key of a column of `cv`: `val/Logloss.mean` for "test-Logloss-mean"; empty for other columns."""
    data, _, rest = name.partition("-")
    metric, _, statistic = rest.rpartition("-")
    return f"{begun.key(data, metric)}.{statistic}" if metric and statistic in ("mean", "std") else ""


def _folds(given: Mapping[str, Any]) -> int:
    if hasattr(given["folds"], "__len__"):
        return len(given["folds"])
    return int(given["fold_count"] or given["nfold"] or getattr(given["folds"], "n_splits", None) or 3)


def _sets(eval_set: Any) -> Iterator[tuple[str, Any]]:
    """The evaluation sets, each with the name that CatBoost gives it."""
    listed = eval_set if isinstance(eval_set, list) else [] if eval_set is None else [eval_set]
    for number, one in enumerate(listed):
        name = "validation" if len(listed) == 1 else f"validation_{number}"
        yield name, one[0] if isinstance(one, tuple) and one else one


def _log_data(begun: _Training, name: str, data: Any, role: str) -> None:
    if not begun.options.log_datasets or not begun.is_detailed:
        return
    is_training = role == "train"
    if isinstance(data, (str, os.PathLike)):
        begun.log_data(name, {}, source=os.fspath(data), is_training=is_training)
        return
    if not hasattr(data, "num_row"):
        digest, meta = describe(data)
        begun.log_data(name, meta, digest=digest, is_training=is_training)
        return
    meta = {"type": "catboost.core.Pool", "rows": data.num_row(), "columns": data.num_col()}
    meta["names"] = data.get_feature_names()[:MOST_NAMES]
    if data.get_cat_feature_indices():
        meta["categorical"] = list(data.get_cat_feature_indices())[:MOST_NAMES]
    begun.log_data(name, meta, is_training=is_training)
