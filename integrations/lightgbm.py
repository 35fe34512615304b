"""LightGBM: each `lightgbm.train` is a training, each `lightgbm.cv` too; metrics are recorded iteration by iteration.

The evaluations are read from the calls that LightGBM makes to its boosters, so the user's callback list is not changed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from autotrack._guard import guarded
from autotrack.instrument.patching import Watch
from autotrack.integrations.base import Integration
from autotrack.recording.fingerprint import describe
from autotrack.training import boosting
from autotrack.training.boosting import Boosting, TrainingWatch

TRAIN, CV, UPDATE, EVALUATE, AGGREGATE = (
    f"lightgbm.{word}" for word in ("train", "cv", "update", "evaluate", "aggregate")
)
MOST_NAMES = 1_000
_NO_PARAMETERS = ("train_set", "valid_sets", "valid_names")


class _Training(Boosting):
    """The state of one LightGBM training: its booster, iterations done and requested, folds and callbacks."""

    model: Any = None
    first_step: int = 0
    iterations: int = 0
    rounds: int | None = None
    is_cv: bool = False
    folds: int = 0
    callbacks: tuple[str, ...] = ()


class LightgbmIntegration(Integration):
    """Records every outermost call of `train` and `cv`; the scikit-learn integration records an estimator's fit."""

    watches: ClassVar[tuple[str, ...]] = ("lightgbm.engine",)
    distribution: ClassVar[str] = "lightgbm"
    requires: ClassVar[str] = ">=4.0"

    def install(self) -> None:
        """Observe `train`, `cv`, and the calls in them that update and evaluate boosters."""
        engine, basic = sys.modules.get("lightgbm.engine"), sys.modules.get("lightgbm.basic")
        if engine is None or basic is None:
            return
        for key, observer in (
            (TRAIN, self._on_train), (CV, self._on_cv), (UPDATE, self._on_update), (EVALUATE, self._on_evaluate),
            (AGGREGATE, self._on_aggregate),
        ):  # fmt: skip
            self.patches.observe(key, observer)
        self.patches.function(engine.train, TRAIN)
        self.patches.function(engine.cv, CV)
        self.patches.function(engine._agg_cv_result, AGGREGATE)
        self.patches.method(basic.Booster, "update", UPDATE)
        for name in ("eval_train", "eval_valid"):
            self.patches.method(basic.Booster, name, EVALUATE)

    def _on_train(
        self, wrapped: Any, nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> TrainingWatch[Any]:
        begun = boosting.begin(_Training, "lightgbm", "lightgbm", self.options)
        if begun is None:
            return boosting.step_aside()
        with guarded("what a training was given"):
            given, chosen, default = boosting.call_params(wrapped, args, kwargs, _NO_PARAMETERS)
            begun.log_params(chosen, default, "train")
            begun.rounds, begun.callbacks = _rounds(given), _callbacks(given)
            train = given["train_set"]
            sets = _named(train, given["valid_sets"], given["valid_names"])
            begun.evaluates([(name, data is train) for name, data in sets])
            _log_data(begun, "train_set", train, is_training=True)
            if hasattr(train.data, "shape"):
                begun.takes(train.data)
            for name, data in sets:
                if data is not train:
                    _log_data(begun, name, data)
        return TrainingWatch(begun, _trained)

    def _on_cv(
        self, wrapped: Any, nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> TrainingWatch[Any]:
        begun = boosting.begin(_Training, "lightgbm", "lightgbm-cv", self.options)
        if begun is None:
            return boosting.step_aside()
        begun.is_cv = True
        with guarded("what a cross-validation was given"):
            given, chosen, default = boosting.call_params(wrapped, args, kwargs, ("train_set", "folds"))
            begun.log_params(chosen, default, "cv")
            begun.rounds, begun.callbacks = _rounds(given), _callbacks(given)
            _log_data(begun, "train_set", given["train_set"], is_training=True)
        return TrainingWatch(begun, _validated)

    def _on_update(
        self, wrapped: Any, booster: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Updated | None:
        begun = boosting.present(_Training)
        if begun is None:
            return None
        if begun.model is None:  # the first booster that is updated is the trained one; others belong to a callback
            begun.model = booster
            begun.first_step = booster.current_iteration()
        return _Updated(begun) if begun.model is booster else None

    def _on_evaluate(
        self, wrapped: Any, booster: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Evaluated | None:
        begun = boosting.present(_Training)
        return _Evaluated(begun) if begun is not None and begun.model is booster and not begun.is_cv else None

    def _on_aggregate(
        self, wrapped: Any, nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Evaluated | None:
        begun = boosting.present(_Training)
        if begun is None or not begun.is_cv:
            return None
        if args and isinstance(args[0], list):
            begun.folds = len(args[0])
        return _Evaluated(begun)


class _Updated(Watch):
    """Watch of `Booster.update`: counts the iteration."""

    def __init__(self, begun: _Training) -> None:
        self._begun = begun

    def returned(self, result: Any) -> None:
        self._begun.iterations += 1


class _Evaluated(Watch):
    """Watch of an evaluation: logs the values that it returns at the current iteration."""

    def __init__(self, begun: _Training) -> None:
        self._begun = begun

    def returned(self, results: Any) -> None:
        begun = self._begun
        values: dict[str, float] = {}
        for data, metric, value, _, *deviation in map(tuple, results):
            key = _key(begun, data, metric)
            if begun.is_cv:
                values[f"{key}.mean"], values[f"{key}.std"] = float(value), float(deviation[0])
            else:
                values[key] = float(value)
        begun.log(values, begun.first_step + begun.iterations - 1)


def _trained(begun: _Training, booster: Any) -> None:
    with guarded("the outcome of a training"):
        begun.end["iterations"] = begun.first_step + begun.iterations
        if booster.best_iteration > 0:
            found = [(data, metric) for data, metrics in booster.best_score.items() for metric in metrics]
            judges = [one for one in found if _key(begun, *one).partition("/")[0] != "train"] or found
            data, metric = judges[0]
            score = float(booster.best_score[data][metric])
            begun.best(booster.best_iteration - 1, _key(begun, data, metric), score, booster.best_iteration)
        _note_stop(begun, early=booster.best_iteration > 0)
    with guarded("feature importances"):
        columns = {kind: booster.feature_importance(kind).tolist() for kind in ("gain", "split")}
        boosting.keep_importances(begun, booster.feature_name(), columns)
    with guarded("saving the model"):
        begun.training.log_params({"config": _configuration(booster.model_to_string(num_iteration=1))}, origin="config")
        names = booster.feature_name()
        inputs = {"kind": "frame", "columns": [{"name": name} for name in names[:MOST_NAMES]], "count": len(names)}
        boosting.keep_model(begun, "lightgbm", booster, inputs)


def _validated(begun: _Training, result: Any) -> None:
    begun.end.update(folds=begun.folds, iterations=begun.iterations)
    lengths = {len(values) for name, values in result.items() if name.endswith("-mean")}
    kept = lengths.pop() if len(lengths) == 1 else begun.iterations
    early = kept < begun.iterations or begun.iterations < (begun.rounds or 0)
    if early or "early_stopping" in begun.callbacks:  # the returned lists end with the best iteration
        name = next(name for name in result if name.endswith("-mean") and not name.startswith("train "))
        data, _, metric = name.removesuffix("-mean").rpartition(" ")
        begun.best(kept - 1, f"{_key(begun, data or 'valid', metric)}.mean", float(result[name][-1]), kept)
    _note_stop(begun, early=early)


def _note_stop(begun: _Training, *, early: bool) -> None:
    if begun.rounds is None or begun.iterations >= begun.rounds or not early:
        return
    ours = [name for name in begun.callbacks if not name.startswith("lightgbm.")]
    if "early_stopping" in begun.callbacks or not ours:
        begun.stopped_by = "early_stopping"
    else:
        begun.stopped_by = ours[0] if len(ours) == 1 else "one of " + ", ".join(ours)


def _key(begun: _Training, data: str, metric: str) -> str:
    if data == "cv_agg":  # before LightGBM 4.7 one string holds data set and metric
        data, _, metric = metric.rpartition(" ")
    return begun.key(data or "valid", metric)


def _named(train: Any, sets: Any, names: Any) -> list[tuple[str, Any]]:
    """The evaluation sets with their names, as LightGBM names them."""
    listed = list(sets) if isinstance(sets, (list, tuple)) else [] if sets is None else [sets]
    given = [names] if isinstance(names, str) else list(names) if isinstance(names, (list, tuple)) else []
    return [
        (str(given[number]) if number < len(given) else "training" if data is train else f"valid_{number}", data)
        for number, data in enumerate(listed)
    ]


def _rounds(given: Mapping[str, Any]) -> int | None:
    """The requested number of iterations, under any alias; None if aliases disagree or it is not an int."""
    aliases = sys.modules["lightgbm.basic"]._ConfigAliases.get("num_iterations")
    found = [value for name, value in given["params"].items() if name in aliases]
    rounds = found[0] if found else given["num_boost_round"]
    return rounds if type(rounds) is int and len({*map(str, found)}) <= 1 else None


def _callbacks(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The callbacks' names: `early_stopping`, `lightgbm.<name>` for LightGBM's others, plain names for the user's."""
    aliases = sys.modules["lightgbm.basic"]._ConfigAliases.get("early_stopping_round")
    names = ["early_stopping"] if any(given["params"].get(name) for name in aliases) else []
    for one in given["callbacks"] if isinstance(given["callbacks"], (list, tuple)) else ():
        name = boosting.name_of(one)
        if name == "_EarlyStoppingCallback":
            names.append("early_stopping")
        else:
            names.append(f"lightgbm.{name}" if type(one).__module__.startswith("lightgbm.") else name)
    return tuple(names)


def _log_data(begun: _Training, name: str, data: Any, *, is_training: bool = False) -> None:
    if begun.options.log_datasets and begun.is_detailed:
        meta, digest, source = _description(data)
        begun.log_data(name, meta, digest=digest, source=source, is_training=is_training)


def _description(data: Any) -> tuple[dict[str, Any], str, str]:
    """Metadata, fingerprint and file path of a `Dataset`, as far as they are known without constructing it."""
    raw = getattr(data, "data", None)
    meta: dict[str, Any] = {"type": f"{type(data).__module__}.{type(data).__qualname__}"}
    digest = ""
    if isinstance(raw, (str, os.PathLike)):
        return meta, digest, os.fspath(raw)
    if raw is not None:
        digest, found = describe(raw)
        meta.update(found)
    elif getattr(data, "_handle", None) is not None:
        meta.update(rows=data.num_data(), columns=data.num_feature())
    elif getattr(data, "used_indices", None) is not None:
        meta["rows"] = len(data.used_indices)
    if isinstance(data.feature_name, list):
        meta["names"] = data.feature_name[:MOST_NAMES]
    return meta, digest, ""


def _configuration(text: str) -> dict[str, Any]:
    """The parameters listed in a model's text, with their values; those that the user did not set are included."""
    listed = text.partition("\nparameters:\n")[2].partition("\nend of parameters")[0]
    found: dict[str, Any] = {}
    for line in listed.splitlines():
        name, colon, value = line.strip("[]").partition(": ")
        if colon and value:
            found[name] = _number(value)
    return found


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
