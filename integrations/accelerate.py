"""Accelerate: `Accelerator(log_with="autotrack")`, or the tracker class itself.

    from autotrack.integrations.accelerate import AutotrackTracker

    accelerator = Accelerator(log_with=AutotrackTracker(experiment="mine"))
    accelerator.init_trackers("digits", config={"lr": 0.1})

The module needs accelerate; it is loaded when accelerate or the class is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from autotrack._guard import guarded
from autotrack.recording.lifecycle.start import start_run
from autotrack.recording.run import Run

NAME = "autotrack"


class AutotrackTracker(GeneralTracker):  # type: ignore[misc]
    """A tracker that records an Accelerate loop as a run; values logged on ranks other than 0 are dropped.

    The project name that Accelerate passes becomes the experiment, unless `experiment` is given.
    """

    name = NAME
    requires_logging_directory = False
    main_process_only = True

    def __init__(
        self,
        run_name: str | None = None,
        *,
        experiment: str | None = None,
        name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run: Run | str | None = None,
        **_others: Any,
    ) -> None:
        super().__init__()
        self._options = {"name": name, "experiment": experiment or run_name, "tags": tags}
        self._given = run
        self._run: Run | None = run if isinstance(run, Run) else None

    def start(self) -> None:
        """Open the run."""
        if self._run is None:
            run_id = self._given if isinstance(self._given, str) else None
            self._run = start_run(**self._options, run_id=run_id)  # type: ignore[arg-type]

    @property
    def tracker(self) -> Run:
        """The run, opened at the first access."""
        self.start()
        assert self._run is not None
        return self._run

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Record the configuration as parameters."""
        with guarded("the configuration"):
            self.tracker.log_params(values)

    def log(self, values: Mapping[str, Any], step: int | None = None, **_others: Any) -> None:
        """Record metrics, and texts as media, at `step`."""
        with guarded("logging metrics"):
            self.tracker.log(values, step)

    def log_images(self, values: Mapping[str, Any], step: int | None = None, **_others: Any) -> None:
        """Record each image under its name; several images of one name as `name/0`, `name/1`, …."""
        with guarded("logging images"):
            for name, images in values.items():
                several = list(images) if isinstance(images, (list, tuple)) else [images]
                for number, image in enumerate(several):
                    self.tracker.log_figure(name if len(several) == 1 else f"{name}/{number}", image, step)

    def log_table(
        self, table_name: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: int | None = None,
        **_others: Any,
    ) -> None:  # fmt: skip
        """Record a table: the data frame `dataframe`, or the rows `data` with the column names `columns`."""
        with guarded("logging a table"):
            rows = dataframe if dataframe is not None else [dict(zip(columns, row, strict=True)) for row in data]
            self.tracker.log_table(table_name, rows, step)

    def finish(self) -> None:
        """Finish the run, unless it was passed in as a `Run`."""
        if self._run is not None and not isinstance(self._given, Run):
            self._run.finish()


def offer() -> None:
    """Register `AutotrackTracker` with Accelerate under the name "autotrack", for `log_with`."""
    LOGGER_TYPE_TO_CLASS.setdefault(NAME, AutotrackTracker)
