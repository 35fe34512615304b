"""Records the iterations of a solver while it runs, where scikit-learn reports them to callbacks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.sklearn.worker_candidates import ListeningFit
from autotrack.models.signature import rows_of
from autotrack.recording.lifecycle.trainings import NullTraining, Training

MOST_ROWS = 2_000
ALL = 24  # iterations, of each of which the loss is computed
TASK = "lbfgs-iter"
KEY = "train/log_loss"


class IterativeFit(ListeningFit):
    """The fit of a `LogisticRegression` whose solver reports each iteration to callbacks."""

    _iterations: Iterations | None = None

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Open the training, then attach a callback to the solver."""
        super().begin(args, kwargs)
        training = self._training
        if training is None or isinstance(training, NullTraining) or not self._is_detailed:
            return
        if self._options.log_training_metrics:
            self._iterations = Iterations(training)
            self.listen(self._iterations)

    def measure(self) -> None:
        """Set `duration`, detach the callback and report omitted iterations."""
        super().measure()
        if self._iterations is not None:
            self._iterations.sum_up()


class Iterations:
    """A scikit-learn callback that logs the log loss on the training data per iteration, with its number as step.

    Of many iterations only some are looked at (`is_looked_at`), each on at most `MOST_ROWS` evenly spaced rows.
    """

    def __init__(self, training: Training) -> None:
        self._training: Training | None = training
        self._seen = 0
        self._last = -2  # the number of the last iteration that was only counted
        self._kept = 0
        self._rows = (0, 0)
        self.on_fit_task_end: Callable[..., None] = self._look

    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def _look(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, fitted_estimator: Any = None
    ) -> None:
        """Record one iteration of the solver, which copies the estimator for a hook with this signature."""
        if self._training is None or context.task_name != TASK or fitted_estimator is None:
            return
        with guarded("an iteration of a solver"):
            loss = self._loss(fitted_estimator, X, y)
            if loss is not None:
                self._kept += 1
                self._training.log({KEY: loss}, context.task_id)
        self._count()

    def _pass(self, estimator: Any, context: Any) -> None:
        """Count one iteration of the solver; its number is one too high after the last, which is no iteration."""
        if context.task_name == TASK:
            self._last = self._seen
            self._count()

    def _count(self) -> None:
        """Count an iteration, and set the hook for the next one."""
        self._seen += 1
        self.on_fit_task_end = self._look if is_looked_at(self._seen) else self._pass

    def sum_up(self) -> None:
        """Name omitted iterations and rows in the capture report, and release the training."""
        training, self._training = self._training, None
        if training is None:
            return
        seen = self._seen if self._last < self._seen - 1 else self._last
        if 0 < self._kept < seen:
            message = f"the loss of {self._kept:,} of {seen:,} iterations is kept: first each, then ever fewer"
            training.report("metrics per iteration", message, level="info")
        looked_at, rows = self._rows
        if looked_at < rows:
            message = f"the loss of each is that of {looked_at:,} of {rows:,} rows, evenly spaced"
            training.report("metrics per iteration", message, level="info")

    def __reduce__(self) -> Any:
        return object, ()

    def _loss(self, fitted: Any, inputs: Any, target: Any) -> float | None:
        import numpy

        rows = inputs.shape[0]
        step = -(-rows // MOST_ROWS)
        some, wanted = rows_of(inputs, slice(None, None, step)), numpy.asarray(target)[::step]
        self._rows = (len(wanted), rows)
        classes = fitted.classes_
        positions = numpy.searchsorted(classes, wanted).clip(0, len(classes) - 1)
        if not (classes[positions] == wanted).all():
            return None
        right = fitted.predict_proba(some)[numpy.arange(len(wanted)), positions]
        return float(-numpy.mean(numpy.log(numpy.clip(right, numpy.finfo(float).eps, 1.0))))


def is_looked_at(number: int) -> bool:
    """Whether iteration `number`, counted from 0, is one whose loss is computed.

    Each of the first `ALL` is, then as many for each doubling, half of `ALL`: 103 of 2,338 iterations.
    """
    return number < ALL or number % (1 << ((2 * number // ALL).bit_length() - 1)) == 0


def has_iterations(estimator: Any) -> bool:
    """Whether the estimator's solver reports iterations to callbacks."""
    module = sys.modules.get("sklearn.linear_model._logistic")
    return (
        module is not None
        and type(estimator) is module.LogisticRegression
        and hasattr(estimator, "set_callbacks")
        and estimator.solver == "lbfgs"
    )
