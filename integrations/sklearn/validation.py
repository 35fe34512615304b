"""Cross-validation: each call of one of scikit-learn's validation functions is a training with the scores by split."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.base import Options
from autotrack.integrations.sklearn import fitted_estimators
from autotrack.integrations.sklearn.candidates import SCORE, SPLIT, metric_name
from autotrack.integrations.sklearn.facts import arguments_of, outlined, params_of
from autotrack.integrations.sklearn.fitting import Fit
from autotrack.integrations.sklearn.roles import Mark
from autotrack.integrations.sklearn.searching import is_search
from autotrack.integrations.sklearn.tables import thinned
from autotrack.recording.failures import describe_failure, how_it_ended
from autotrack.recording.lifecycle.trainings import Training, begin_training
from autotrack.values import plain

MOST_SPLITS = 20
MOST_POINTS = 1_000


class Validation(Fit):
    """One call of `cross_val_score` or another validation function; `result` is its return value."""

    result: Any = None
    _scores: Mapping[str, Any] | None = None

    def __init__(self, options: Options, function: FunctionType, estimator: Any, level: int = 0) -> None:
        super().__init__(dataclasses.replace(options, log_models=False), estimator, function, level)
        self._name = function.__name__
        self._metric = SCORE
        self._given: Mapping[str, Any] = {}

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Open the training; `args` and `kwargs` are the arguments of the call without the estimator."""
        kind, options = type(self._estimator), self._options
        training = self._training = begin_training(
            self._name, "sklearn", run_name=options.name, experiment=options.experiment, tags=options.tags,
            params={"model.class": kind.__qualname__, "model.module": kind.__module__},
        )  # fmt: skip
        self._given = kwargs
        self._metric = metric_name(kwargs.get("scoring"))
        with guarded("the estimator's parameters"):
            params = params_of(self._estimator)
            _log_params(training, params.chosen, params.default)
        with guarded("the arguments of a cross-validation"):
            self._arguments = arguments_of(self._wrapped, self._estimator, args, kwargs)
            _log_params(training, _renamed(self._arguments.chosen), _renamed(self._arguments.default))
        if self._is_detailed:
            with guarded("the data of a cross-validation"):
                self._look_at_data(training)
        if is_search(self._estimator):
            training.report("candidates", "those of the search inside a cross-validation are not kept", level="info")

    def listens_to(self, name: str) -> bool:
        """Whether the result of the nested function `name` has more detail than the result of this call."""
        return self._name == "cross_val_score" and name == "cross_validate"

    def heard(self, result: Any) -> None:
        """Use the result of the nested function in place of this call's own."""
        self._scores = result

    def finished(self) -> None:
        """Record the scores and finish the training."""
        training = self._training
        if training is None:
            return
        try:
            with guarded("the results of a cross-validation"):
                _RECORDERS[self._name](self, training)
        finally:
            self.result = self._scores = None
            with guarded("the end of a cross-validation"):
                training.finish("finished")

    def failed(self, error: BaseException) -> None:
        """Finish the training with the exception that the call raised."""
        if self._training is not None:
            status, _ = how_it_ended(error)
            self._training.finish("killed" if status == "finished" else status, failure=describe_failure(error))

    def splits(self, training: Training) -> None:
        """Record `cross_validate` and `cross_val_score`: scores by split, mean and standard deviation.

        The metric of a score's own name is the mean: no run is judged by its luckiest split.
        """
        scores = self._scores if self._scores is not None else self.result
        columns = _score_columns(scores if isinstance(scores, Mapping) else {"test_score": scores}, self._metric)
        names = [f"{name}{SPLIT}" if name.startswith(("val/", "train/")) else name for name in columns]
        for step, row in enumerate(zip(*columns.values(), strict=True)):
            training.log(dict(zip(names, row, strict=True)), step)
        training.log(_summary(columns))
        failed = sum(any(map(math.isnan, row)) for row in zip(*columns.values(), strict=True))
        if failed:
            message = f"{failed} have no score: their fit or their scoring failed"
            training.report("splits", message, count=failed)

    def predictions(self, training: Training) -> None:
        """Record `cross_val_predict`: metrics computed from its predictions later go to this training."""
        tied = fitted_estimators.FittedEstimator(training, Mark(None), Mark(None))
        fitted_estimators.note_output(self.result, tied, self._arguments.inputs, self._name)

    def learning_curve(self, training: Training) -> None:
        """Record scores by the number of training rows: a table, and metrics with that number as step."""
        sizes, train, test, *times = self.result
        table = {"train_size": sizes.tolist(), **self._curve(train, test)}
        for name, values in zip(("fit_time", "score_time"), times, strict=False):
            table[f"{name}.mean"] = values.mean(axis=1).tolist()
        training.log_evaluation(self._name, table)
        self._log_curve(training, table, table["train_size"])

    def validation_curve(self, training: Training) -> None:
        """Record scores by the values of a parameter: a table, and metrics with the value's position as step."""
        values = [plain(outlined(value)) for value in self._given["param_range"]]
        table = {str(self._given["param_name"]): values, **self._curve(*self.result)}
        training.log_evaluation(self._name, table)
        self._log_curve(training, table, range(len(values)))

    def permutations(self, training: Training) -> None:
        """Record `permutation_test_score`: the score, its p-value, and the scores of permuted targets as a table."""
        score, permuted, p_value = self.result
        training.log({f"val/{self._metric}": score, "p_value": p_value})
        training.log({"permuted.mean": permuted.mean(), "permuted.std": permuted.std()})
        table, left_out = thinned({"score": permuted}, MOST_POINTS)
        training.log_evaluation(self._name, table, {"rows": left_out} if left_out else None)

    def _curve(self, train: Any, test: Any) -> dict[str, list[Any]]:
        """Mean and standard deviation of scores of shape (points, splits), and each split's scores if there are few."""
        columns: dict[str, list[Any]] = {}
        for role, scores in (("train", train), ("val", test)):
            name = f"{role}/{self._metric}"
            columns[f"{name}.mean"] = scores.mean(axis=1).tolist()
            columns[f"{name}.std"] = scores.std(axis=1).tolist()
            if scores.shape[1] <= MOST_SPLITS:
                columns |= {f"{name}.split{split}": one.tolist() for split, one in enumerate(scores.T)}
        return columns

    def _log_curve(self, training: Training, table: Mapping[str, list[Any]], steps: Sequence[int]) -> None:
        train, val = (table[f"{role}/{self._metric}.mean"] for role in ("train", "val"))
        for step, *values in zip(steps, train, val, strict=True):
            training.log({f"train/{self._metric}": values[0], f"val/{self._metric}": values[1]}, int(step))


_RECORDERS: dict[str, Callable[[Validation, Training], None]] = {
    "cross_validate": Validation.splits,
    "cross_val_score": Validation.splits,
    "cross_val_predict": Validation.predictions,
    "learning_curve": Validation.learning_curve,
    "validation_curve": Validation.validation_curve,
    "permutation_test_score": Validation.permutations,
}


def _log_params(training: Training, chosen: Mapping[str, Any], default: Mapping[str, Any]) -> None:
    if chosen:
        training.log_params(chosen)
    if default:
        training.log_params(default, origin="default")


def _renamed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the function's arguments from `fit.cv` to `validation.cv`, to tell them from the estimator's."""
    return {f"validation.{name.removeprefix('fit.')}": value for name, value in arguments.items()}


def _score_columns(scores: Mapping[str, Any], metric: str) -> dict[str, list[float]]:
    """The arrays of `cross_validate`'s result by metric name; other entries are omitted."""
    columns: dict[str, list[float]] = {}
    for key, values in scores.items():
        part, _, name = key.partition("_")
        if key in ("fit_time", "score_time"):
            columns[key] = values.tolist()
        elif part in ("test", "train") and hasattr(values, "tolist"):
            role = "val" if part == "test" else part
            columns[f"{role}/{metric if name == SCORE else name}"] = values.tolist()
    return columns


def _summary(columns: Mapping[str, list[float]]) -> dict[str, float]:
    import numpy

    summary: dict[str, float] = {}
    for name, values in columns.items():
        summary[f"{name}.mean"] = float(numpy.mean(values))
        if name.startswith(("val/", "train/")):
            summary[name] = summary[f"{name}.mean"]
            summary[f"{name}.std"] = float(numpy.std(values))
    return summary
