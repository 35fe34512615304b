"""The logger for `Trainer(logger=AutotrackLogger())`, with Lightning's full contract of a logger, for Fabric too."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.base import TakesOptions
from autotrack.integrations.lightning.hooks import connector_speaks, hooks
from autotrack.integrations.lightning.packages import base_classes
from autotrack.recording.collector import collector
from autotrack.recording.lifecycle.start import start_run
from autotrack.recording.run import NullRun, Run, active_run


class AutotrackLogger(TakesOptions, *base_classes("loggers.logger", "Logger", wanted_by="AutotrackLogger")):  # type: ignore[misc]
    """A logger whose `experiment` is the run. Beside our callback or autolog everything is still recorded once.

    With a `Trainer` all of a fit is recorded, as with `AutotrackCallback`; with Fabric, what is logged. Options are
    those of `autotrack.integrations.base.Options`.
    """

    def install_hooks(self) -> None:
        run = self.autotrack_options.run
        self._run: Run | None = run if isinstance(run, Run) else None
        self._opened = False
        hooks.hold("logger")

    @property
    def experiment(self) -> Run:
        """The run of the current fit, else one that is opened now; on ranks other than 0 a `NullRun`."""
        active = active_run()
        if self._run is not None and (self._run.is_open or active is None):
            return self._run
        if active is not None:
            self._run = active
            return active
        options = self.autotrack_options
        self._run = start_run(
            options.name, experiment=options.experiment, tags=options.tags,
            run_id=options.run if isinstance(options.run, str) else None,
        )  # fmt: skip
        self._opened = not isinstance(self._run, NullRun)
        return self._run

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._run.experiment if self._run is not None else self.autotrack_options.experiment or "autotrack"

    @property
    def version(self) -> str | None:
        """The run's id; None before there is a run."""
        return self._run.id if self._run is not None else None

    @property
    def save_dir(self) -> str | None:
        """None: Lightning stores its own files where it would without a logger."""
        return None

    @property
    def log_dir(self) -> str | None:
        """The path of the folder that autotrack records to."""
        return str(collector().place.path)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record a row of metrics, unless Lightning's connector passes it: then it is recorded already."""
        if not connector_speaks():
            with guarded("logging metrics"):
                self.experiment.log(metrics, step)

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Record hyperparameters, nested ones with dotted names."""
        with guarded("logging hyperparameters"):
            self.experiment.log_params(dict(vars(params)) if isinstance(params, Namespace) else params)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Record the layers of a model; the graph itself is not traced, for that would run the model."""
        from autotrack.training.neural import modules

        with guarded("the model"):
            modules.record(self.experiment, model)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Do nothing: a checkpoint is recorded when `Trainer.save_checkpoint` writes it."""

    def save(self) -> None:
        """Do nothing: everything logged is already in the journal."""

    def finalize(self, status: str) -> None:
        """Finish the run if this logger opened it."""
        if self._opened and self._run is not None and self._run.is_open:
            with guarded("finishing the run"):
                self._run.finish("failed" if status == "failed" else "finished")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": False}
