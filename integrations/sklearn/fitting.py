"""Records one outermost fit of an estimator: its parameters and data, results, model and outcome."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.events import Dataset, Role, RunKind
from autotrack.integrations.base import Options
from autotrack.integrations.sklearn import fitted_estimators
from autotrack.integrations.sklearn.facts import Arguments, arguments_of, dataset, is_kind, params_of
from autotrack.recording.failures import describe_failure, how_it_ended
from autotrack.recording.fingerprint import SHAPE_ONLY
from autotrack.recording.lifecycle.trainings import Training, begin_training
from autotrack.recording.run import Run, active_run
from autotrack.recording.same_data import Trace
from autotrack.values import plain

DETAILED_TRAININGS = 100
NOTED_TRANSFORMERS = 50

_noted: weakref.WeakKeyDictionary[Run, int] = weakref.WeakKeyDictionary()


class Fit:
    """The fit of an estimator that predicts: a training. `level` is how deep in joblib's workers it runs."""

    kind: RunKind = "training"

    def __init__(self, options: Options, estimator: Any, wrapped: Callable[..., Any], level: int = 0) -> None:
        self.active = True
        self.level = level
        self.duration = 0.0
        self._options = options
        self._estimator = estimator
        self._wrapped = wrapped
        self._training: Training | None = None
        self._arguments = Arguments()
        self._first_rows: Any = None
        self._outputs: Any = None
        self._followed: set[str] = set()  # metrics that were recorded while the fit ran
        self._traces: fitted_estimators.Traces | None = None
        self._begun = time.perf_counter()

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Open the training and record parameters and data before the fit, which may change them."""
        kind = type(self._estimator)
        options = self._options
        fitted_estimators.untie(self._estimator)
        training = self._training = begin_training(
            kind.__name__, "sklearn", run_name=options.name, experiment=options.experiment, tags=options.tags,
            params={"model.class": kind.__qualname__, "model.module": kind.__module__}, kind=self.kind,
        )  # fmt: skip
        chosen: dict[str, Any] = {}
        default: dict[str, Any] = {}
        with guarded("the estimator's parameters"):
            params = params_of(self._estimator)
            chosen, default = params.chosen, params.default
        with guarded("the arguments of fit"):
            given = self._arguments = arguments_of(self._wrapped, self._estimator, args, kwargs)
            chosen.update(given.chosen)
            default.update(given.default)
        with guarded("parameters"):
            if chosen:
                training.log_params(chosen)
            if default:
                training.log_params(default, origin="default")
        if self._is_detailed:
            with guarded("the training data"):
                self._look_at_data(training)
        elif training.number == DETAILED_TRAININGS + 1:
            training.run.report(
                "sklearn", f"from training {training.number} on only parameters and duration are kept", level="info"
            )
        self._begun = time.perf_counter()

    def measure(self) -> None:
        """Set `duration`; call immediately after the fit has ended."""
        self.duration = time.perf_counter() - self._begun

    def finished(self) -> None:
        """Record the results of the fit, and finish the training."""
        training = self._training
        if training is None:
            return
        try:
            with guarded("the results of a fit"):
                self._record_results(training)
        finally:
            with guarded("the end of a fit"):
                training.finish("finished")

    def failed(self, error: BaseException) -> None:
        """Finish the training with the exception that the fit raised."""
        if self._training is not None:
            status, _ = how_it_ended(error)
            with guarded("the duration of a fit"):
                self._training.log({"train/duration": self.duration})
            self._training.finish("killed" if status == "finished" else status, failure=describe_failure(error))

    @property
    def _model(self) -> Any:
        """The fitted estimator to save and to compute metrics of; None if there is none."""
        return self._estimator

    @property
    def _is_detailed(self) -> bool:
        return self._training is not None and self._training.number <= DETAILED_TRAININGS

    def _look_at_data(self, training: Training) -> None:
        given = self._arguments
        if self._options.log_datasets:
            inputs, target = _log_dataset(training, given.inputs, given.inputs_name, "train"), ""
            if given.target is not None:
                labels = is_kind(self._estimator, "classifier")
                target = _log_dataset(training, given.target, given.target_name, "train", labels=labels)
            self._traces = Trace(given.inputs, inputs), Trace(given.target, target)
        if self._options.log_models:
            from autotrack.models.signature import ROWS, rows_of, schema_of

            self._outputs = schema_of(given.target)
            head: Any = rows_of(given.inputs, slice(0, ROWS))
            self._first_rows = head.copy() if hasattr(head, "copy") else head

    def _record_results(self, training: Training) -> None:
        from autotrack.integrations.sklearn import findings, iterations, metrics, saving

        values: dict[str, float] = {"duration": self.duration}
        in_full: set[str] = set()
        if self._is_detailed:
            with guarded("what the estimator learned"):
                values.update(metrics.learned(self._estimator))
            if self.kind != "search":
                with guarded("what the fit found"):
                    findings.log_findings(training, self._estimator)
            if self._options.log_models and self._model is not None:
                with guarded("saving the model"):
                    saving.keep_model(
                        training, self._model, self._first_rows, self._signature(),
                        with_example=self._options.log_input_examples,
                    )  # fmt: skip
            if self._options.log_training_metrics and self._model is not None:
                with guarded("training metrics"):
                    values.update(self._training_metrics(training))
            with guarded("feature importances"):
                self._log_importances(training)
            with guarded("metrics per iteration"):
                in_full = iterations.log_iterations(training, self._estimator, self._arguments)
        found = {f"train/{name}": value for name, value in values.items()}
        training.log({key: value for key, value in found.items() if key not in in_full | self._followed})
        given = self._arguments
        tied = fitted_estimators.tie(self._estimator, training, given.inputs, given.target, self._traces)
        if tied is not None:
            fitted_estimators.tie_delegate(self._estimator, tied)

    def _training_metrics(self, training: Training) -> dict[str, float]:
        from autotrack.integrations.sklearn import metrics
        from autotrack.integrations.sklearn.predicting import Skipped

        given = self._arguments
        try:
            computed = metrics.compute(self._model, given.inputs, given.target, given.weights)
        except Skipped as reason:
            training.report("training metrics", f"not computed: {reason}")
            return {}
        if computed.rows:
            training.report("training metrics", f"computed on {computed.rows}", level="info")
        for name, columns in computed.tables.items():
            training.log_evaluation(f"train/{name}", columns, {"rows": computed.rows} if computed.rows else {})
        return computed.values

    def _log_importances(self, training: Training) -> None:
        from autotrack.integrations.sklearn import importances

        if self._model is None:
            return
        found = importances.importances_of(self._model, self._arguments.inputs)
        if found.skipped:
            training.report("feature importances", f"not kept: {found.skipped}")
        elif found.columns:
            training.log_evaluation(found.name, found.columns, {"rows": found.left_out} if found.left_out else {})

    def _signature(self) -> dict[str, Any]:
        from autotrack.models.signature import schema_of

        return {"inputs": schema_of(self._arguments.inputs), "outputs": self._outputs}


class Preprocessing:
    """The fit of a transformer that cannot predict: not a training, but params in the active run."""

    def __init__(self, options: Options, estimator: Any, wrapped: Callable[..., Any], level: int = 0) -> None:
        self.active = True
        self.level = level
        self.duration = 0.0
        self._estimator = estimator
        self._run: Run | None = None
        self._params: dict[str, Any] = {}

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Remember the active run and the estimator's parameters as they are before the fit."""
        run = active_run()
        if run is not None and not run.implicit:
            self._run = run
            self._params = params_of(self._estimator).chosen

    def measure(self) -> None:
        """Nothing to measure: duration is not kept for preprocessing."""

    def finished(self) -> None:
        """Log the transformer's class and the parameters set by the user as `preprocessing.<n>` in the run."""
        if self._run is None or not self._run.is_open:
            return
        number = _noted[self._run] = _noted.get(self._run, 0) + 1
        if number <= NOTED_TRANSFORMERS:
            facts = {"class": type(self._estimator).__qualname__, **self._params}
            self._run.log_params({f"preprocessing.{number}": facts})
        elif number == NOTED_TRANSFORMERS + 1:
            message = f"fits of transformers after the first {NOTED_TRANSFORMERS} are not noted"
            self._run.report("preprocessing", message)

    def failed(self, error: BaseException) -> None:
        """Do nothing: a failed fit of a transformer is not recorded, and need not end the run."""


def is_preprocessing(estimator: Any) -> bool:
    """Whether the estimator can transform but not predict."""
    if is_kind(estimator, "classifier") or is_kind(estimator, "regressor"):
        return False
    transforms = hasattr(estimator, "transform") or hasattr(estimator, "fit_transform")
    return transforms and not hasattr(estimator, "predict") and not hasattr(estimator, "fit_predict")


def _log_dataset(training: Training, data: Any, name: str, role: Role, *, labels: bool = False) -> str:
    """Record a data set; returns its fingerprint, empty if that does not tell whether other data is the same."""
    if data is None:
        return ""
    digest, meta = dataset(data, labels=labels)
    training.emit(
        Dataset(
            run=training.id, time=time.time(), training=training.number, name=name, role=role, digest=digest,
            meta=plain(meta),
        )
    )  # fmt: skip
    return "" if meta.get("digest_of") == SHAPE_ONLY else digest
