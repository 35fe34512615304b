"""XGBoost: each `xgboost.train` is a training, each `xgboost.cv` too; metrics are recorded iteration by iteration.

The evaluations are read where XGBoost passes them to callbacks, so that the user's list of callbacks is not changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from autotrack._guard import guarded
from autotrack.instrument.patching import Watch
from autotrack.integrations.base import Integration
from autotrack.training import boosting
from autotrack.training.boosting import Boosting, TrainingWatch

TRAIN, CV, ITERATION = "xgboost.train", "xgboost.cv", "xgboost.iteration"
MOST_NAMES = 1_000
_NO_PARAMETERS = ("dtrain", "evals", "evals_result")
_IMPORTANCES = ("gain", "weight", "cover")


class _Training(Boosting):
    """The state of one XGBoost training: first step (None until known), folds, callbacks, and whether it is linear."""

    first_step: int | None = None
    folds: int = 0
    callbacks: Any = ()
    is_linear: bool = False


class XgboostIntegration(Integration):
    """Records every outermost call of `train` and `cv`; the scikit-learn integration records an estimator's fit."""

    watches: ClassVar[tuple[str, ...]] = ("xgboost.training",)
    distribution: ClassVar[str] = "xgboost"
    requires: ClassVar[str] = ">=2.0"

    def install(self) -> None:
        """Observe `train`, `cv`, and the end of each iteration."""
        training, callback = sys.modules.get("xgboost.training"), sys.modules.get("xgboost.callback")
        if training is None or callback is None:
            return
        self.patches.observe(TRAIN, self._on_train)
        self.patches.observe(CV, self._on_cv)
        self.patches.observe(ITERATION, self._on_iteration)
        for function, key in ((training.train, TRAIN), (training.cv, CV)):
            self.patches.function(getattr(function, "__wrapped__", function), key)
        self.patches.method(callback.CallbackContainer, "after_iteration", ITERATION)

    def _on_train(
        self, wrapped: Any, nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> TrainingWatch[Any]:
        begun = boosting.begin(_Training, "xgboost", "xgboost", self.options)
        if begun is None:
            return boosting.step_aside()
        with guarded("what a training was given"):
            given, chosen, default = boosting.call_params(wrapped, args, kwargs, _NO_PARAMETERS)
            begun.log_params(chosen, default, "train")
            evals = given["evals"] if isinstance(given["evals"], (list, tuple)) else ()  # an iterator is left alone
            sets = [(str(name), data) for data, name in evals]
            begun.evaluates([(name, data is given["dtrain"]) for name, data in sets])
            begun.log_data("dtrain", _description(given["dtrain"]), is_training=True)
            for name, data in sets:
                if data is not given["dtrain"]:
                    begun.log_data(name, _description(data))
        return TrainingWatch(begun, _trained)

    def _on_cv(
        self, wrapped: Any, nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> TrainingWatch[Any]:
        begun = boosting.begin(_Training, "xgboost", "xgboost-cv", self.options)
        if begun is None:
            return boosting.step_aside()
        with guarded("what a cross-validation was given"):
            given, chosen, default = boosting.call_params(wrapped, args, kwargs, ("dtrain", "folds"))
            begun.log_params(chosen, default, "cv")
            begun.evaluates([("train", True), ("test", False)])
            begun.name_set("test", "val")
            begun.log_data("dtrain", _description(given["dtrain"]), is_training=True)
        return TrainingWatch(begun, _validated)

    def _on_iteration(
        self, wrapped: Any, container: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Iteration | None:
        begun = boosting.present(_Training)
        if begun is None:
            return None
        given = {**dict(zip(("model", "epoch"), args, strict=False)), **kwargs}
        return _Iteration(begun, container, given["model"], given["epoch"])


class _Iteration(Watch):
    """Watch of `after_iteration`: logs the iteration's evaluations, and notes which callback stopped the training."""

    def __init__(self, begun: _Training, container: Any, model: Any, epoch: int) -> None:
        self._begun = begun
        self._container = container
        self._model = model
        self._epoch = epoch

    def returned(self, stops: Any) -> None:
        begun, container = self._begun, self._container
        if begun.first_step is None:  # a training that continues a model starts after that model's rounds
            begun.first_step = 0 if container.is_cv else max(0, self._model.num_boosted_rounds() - self._epoch - 1)
        begun.callbacks = container.callbacks
        if container.is_cv:
            begun.folds = len(self._model.cvfolds)
        values: dict[str, float] = {}
        for data, metrics in container.history.items():
            for metric, scores in metrics.items():
                key = begun.key(data, metric)
                if container.is_cv:
                    values[f"{key}.mean"], values[f"{key}.std"] = map(float, scores[-1])
                else:
                    values[key] = float(scores[-1])
        begun.log(values, begun.first_step + self._epoch)
        if stops:
            begun.stopped_by = _who_stopped(container.callbacks)


def _trained(begun: _Training, booster: Any) -> None:
    with guarded("the outcome of a training"):
        begun.end["iterations"] = begun.step + 1
        _note_best(begun)
        if any(one.save_best for one in _early_stopping(begun)) and "best_iteration" in begun.end:
            begun.end["restored_from"] = begun.end["best_iteration"]
        configuration = json.loads(booster.save_config())
        begun.is_linear = configuration["learner"]["gradient_booster"]["name"] == "gblinear"
        begun.training.log_params({"config": configuration}, origin="config")
    with guarded("feature importances"):
        _keep_importances(begun, booster)
    with guarded("saving the model"):
        boosting.keep_model(begun, "xgboost", booster, _inputs(booster))


def _validated(begun: _Training, result: Any) -> None:
    begun.end.update(folds=begun.folds, iterations=begun.step + 1)
    _note_best(begun)


def _note_best(begun: _Training) -> None:
    """Record the best iteration by each `EarlyStopping` callback, whether or not it stopped the training."""
    for one in _early_stopping(begun):
        for data, metrics in one.stopping_history.items():
            for metric, history in metrics.items():
                number = len(history) - 1 - one.current_rounds
                score, key = history[number], begun.key(data, metric)
                step = number + (begun.first_step or 0)
                if isinstance(score, tuple):  # the mean and deviation of all folds
                    begun.best(step, f"{key}.mean", float(score[0]))
                else:
                    begun.best(step, key, float(score))


def _early_stopping(begun: _Training) -> list[Any]:
    return [one for one in begun.callbacks if type(one).__name__ == "EarlyStopping"]


def _keep_importances(begun: _Training, booster: Any) -> None:
    found: dict[str, dict[str, float]] = {}
    for kind in ("weight",) if begun.is_linear else _IMPORTANCES:
        scores = booster.get_score(importance_type=kind)
        found[kind] = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
    features = list(next(iter(found.values())))
    columns = {kind: [scores.get(name, 0.0) for name in features] for kind, scores in found.items()}
    boosting.keep_importances(begun, features, columns)


def _who_stopped(callbacks: Any) -> str:
    for one in callbacks:
        if type(one).__name__ == "EarlyStopping" and one.current_rounds >= one.rounds:
            return "EarlyStopping"
    able = [boosting.name_of(one) for one in callbacks if not type(one).__module__.startswith("xgboost.")]
    return able[0] if len(able) == 1 else "one of " + ", ".join(able)


def _description(data: Any) -> dict[str, Any]:
    """Type, shape and column names of a `DMatrix`; its data is neither read nor copied."""
    meta: dict[str, Any] = {
        "type": f"{type(data).__module__}.{type(data).__qualname__}", "rows": data.num_row(),
        "columns": data.num_col(), "nonmissing": data.num_nonmissing(),
    }  # fmt: skip
    for key, values in (("names", data.feature_names), ("dtypes", data.feature_types)):
        if values is not None:
            meta[key] = list(values)[:MOST_NAMES]
    return meta


def _inputs(booster: Any) -> dict[str, Any]:
    names, types, count = booster.feature_names, booster.feature_types, booster.num_features()
    if names is None:
        return {"kind": "array", "dtype": "float32", "shape": [None, count]}
    columns = [
        {"name": str(name), "dtype": str(dtype)}
        for name, dtype in zip(names[:MOST_NAMES], types or ["float"] * len(names), strict=False)
    ]
    return {"kind": "frame", "columns": columns, "count": count}
