"""Records the iterations of a solver while it runs, where scikit-learn reports them to callbacks."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.sklearn.fitting import BUDGET, SHARE
from autotrack.integrations.sklearn.worker_candidates import ListeningFit
from autotrack.models.signature import rows_of
from autotrack.recording.lifecycle.trainings import NullTraining, Training

MOST_ROWS = 2_000
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

    It stays within the time budget for our own work, and uses at most `MOST_ROWS` evenly spaced rows.
    """

    def __init__(self, training: Training) -> None:
        self._training: Training | None = training
        self._begun = time.thread_time()
        self._spent = 0.0
        self._skipped = 0
        self._rows = (0, 0)

    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, fitted_estimator: Any = None
    ) -> None:
        """Record one iteration of the solver."""
        if self._training is None or context.task_name != TASK or fitted_estimator is None:
            return
        begun = time.thread_time()
        if self._spent > max(BUDGET, SHARE * (begun - self._begun)):
            self._skipped += 1
            return
        with guarded("an iteration of a solver"):
            loss = self._loss(fitted_estimator, X, y)
            if loss is not None:
                self._training.log({KEY: loss}, context.task_id)
        self._spent += time.thread_time() - begun

    def sum_up(self) -> None:
        """Name omitted iterations and rows in the capture report, and release the training."""
        training, self._training = self._training, None
        if training is None:
            return
        if self._skipped:
            message = (
                f"the loss of {self._skipped:,} iterations was not computed: the time for our own work was used up"
            )
            training.report("metrics per iteration", message, count=self._skipped)
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


def has_iterations(estimator: Any) -> bool:
    """Whether the estimator's solver reports iterations to callbacks."""
    module = sys.modules.get("sklearn.linear_model._logistic")
    return (
        module is not None
        and type(estimator) is module.LogisticRegression
        and hasattr(estimator, "set_callbacks")
        and estimator.solver == "lbfgs"
    )
