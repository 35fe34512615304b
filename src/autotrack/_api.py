"""The public functions of `autotrack`, which its `__all__` lists and re-exports.

Each function is thin: it finds the active run or the reader of the store and calls the method of the same purpose.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrack._guard import AutotrackWarning as AutotrackWarning
from autotrack._process import on_reset
from autotrack.exceptions import AutotrackError as AutotrackError
from autotrack.launch.autolog import autolog as autolog
from autotrack.recording import collector as collector_module
from autotrack.recording.collector import collector
from autotrack.recording.collector import paused as paused
from autotrack.recording.lifecycle.start import run_for_late_facts
from autotrack.recording.lifecycle.start import set_experiment as set_experiment
from autotrack.recording.lifecycle.start import start_run as start_run
from autotrack.recording.run import Run as Run
from autotrack.recording.run import active_run as active_run

if TYPE_CHECKING:
    from autotrack.outputs.reproduction import Reproduction
    from autotrack.query.diff import Diff
    from autotrack.query.reader import Reader
    from autotrack.query.records import Record, Runs


def configure(**changes: Any) -> None:
    """Choose settings in code; `autotrack.settings.Settings` lists them.

    The settings apply to runs that start afterwards. `dir` and `sinks` cannot change while runs are open
    (`ConfigurationError`).
    """
    collector_module.configure(changes)


def log(values: Mapping[str, Any], step: int | None = None, *, time: Any = None) -> None:
    """Record metrics in the active run, else in this thread's last run, else in a new one. See `Run.log`."""
    run_for_late_facts().log(values, step, time=time)


def log_metric(key: str, value: Any, step: int | None = None) -> None:
    """Record one metric in the active run."""
    run_for_late_facts().log({key: value}, step)


def log_metrics(values: Mapping[str, Any], step: int | None = None) -> None:
    """Record one row of metrics in the active run."""
    run_for_late_facts().log(values, step)


def log_param(key: str, value: Any) -> None:
    """Record one parameter in the active run."""
    run_for_late_facts().log_params({key: value})


def log_params(params: Mapping[str, Any]) -> None:
    """Record parameters in the active run. See `Run.log_params`."""
    run_for_late_facts().log_params(params)


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active run; None removes one."""
    run_for_late_facts().set_tags(tags)


def note(text: str) -> None:
    """Add a remark to the active run."""
    run_for_late_facts().note(text)


def log_artifact(path: str | os.PathLike[str], name: str | None = None, **options: Any) -> None:
    """Keep a copy of a file or folder with the active run. See `Run.log_artifact`."""
    run_for_late_facts().log_artifact(path, name, **options)


def log_artifacts(folder: str | os.PathLike[str], prefix: str = "", **options: Any) -> None:
    """Keep copies of all files in a folder with the active run."""
    run_for_late_facts().log_artifacts(folder, prefix, **options)


def log_text(text: str, name: str) -> None:
    """Keep a text as an artifact of the active run."""
    run_for_late_facts().log_text(text, name)


def log_dict(data: Any, name: str) -> None:
    """Keep plain data as a JSON artifact of the active run."""
    run_for_late_facts().log_dict(data, name)


def log_table(name: str, data: Any, step: int | None = None) -> None:
    """Keep a table with the active run. See `Run.log_table`."""
    run_for_late_facts().log_table(name, data, step)


def log_figure(name: str, figure: Any, step: int | None = None) -> None:
    """Keep a figure or image with the active run. See `Run.log_figure`."""
    run_for_late_facts().log_figure(name, figure, step)


def log_dataset(data: Any = None, **options: Any) -> None:
    """Record a dataset that the active run used. See `Run.log_dataset`."""
    run_for_late_facts().log_dataset(data, **options)


def log_model(model: Any, name: str = "model", **options: Any) -> None:
    """Save a model with the active run. See `Run.log_model`."""
    run_for_late_facts().log_model(model, name, **options)


def finish(status: Any = "finished") -> None:
    """Finish the active run; do nothing if there is none."""
    run = active_run()
    if run is not None:
        run.finish(status)


def runs(
    filter: str = "",  # noqa: A002 - the word people use
    *,
    order_by: str | Sequence[str] | None = None,
    limit: int | None = None,
    experiment: str | None = None,
    all: bool = False,  # noqa: A002 - the word people use
    deleted: bool = False,
) -> Runs:
    """The recorded runs that match a filter, newest first.

    `filter` is a condition such as `"params.lr > 0.01 and metrics.val/accuracy.max >= 0.9"`, `order_by` a name such
    as `"-metrics.val/accuracy.max"` (minus for descending) or several. Without `all` only top-level runs are
    listed, unless the filter names a `run.kind`. `FilterError`, which points at the position, for an invalid filter.
    """
    return _reader().runs(filter, order_by=order_by, limit=limit, experiment=experiment, all=all, deleted=deleted)


def get_run(reference: str | Run = "last") -> Record:
    """One record, finished or live: by id, unique prefix, name, `last` or `last~2`; `NotFoundError` if none fits."""
    return _reader().get(reference.id if isinstance(reference, Run) else reference)


def best(metric: str, *, mode: str = "max", filter: str = "", experiment: str | None = None) -> Record:  # noqa: A002
    """The run with the best value of `metric` (its best value over all steps), `mode` "max" or "min"."""
    from autotrack.query.analysis import place_of_best

    found = _reader().runs(filter, experiment=experiment, all=True)
    return found[place_of_best(found, metric, mode)]


def diff(a: Record | Run | str, b: Record | Run | str) -> Diff:
    """The differences between two runs in params, metrics, environment, packages and code."""
    from autotrack.query.diff import diff as diff_of

    first, second = (get_run(run) if isinstance(run, (Run, str)) else run for run in (a, b))
    return diff_of(first, second)


def reproduce(run: Record | Run | str = "last") -> Reproduction:
    """A plan to repeat a run: its code, packages, Python and command line, and the parts that cannot be reproduced.

    `reproduce(run).build("folder")` builds the checkout. No code of the project is executed.
    """
    from autotrack.outputs.reproduction import plan

    return plan(get_run(run) if isinstance(run, (Run, str)) else run, get_run)


def load_model(source: Any, *, trust: bool = False, into: Any = None) -> Any:
    """Load a saved model: `"runs:/<run>/<name>"`, a run or record (its only model), or a folder.

    The digest of each file is checked (`IntegrityError`). Formats that run code while loading need `trust=True`
    (`UntrustedModelError`). A torch module whose constructor's arguments are not known is loaded into one that the
    program has built, `into=module`, or as a bare state dict, `into={}`.
    """
    from autotrack.models import load_model as load

    return load(source, trust=trust, into=into, get_record=get_run)


_readers: dict[str, Reader] = {}


@on_reset
def _forget_readers() -> None:
    while _readers:
        _readers.popitem()[1].close()


def _reader() -> Reader:
    from autotrack.query.reader import open_reader

    owner = collector()
    key = f"{owner.place.path}|{owner.settings.store}"
    reader = _readers.get(key)
    if reader is None or not reader.usable:
        _readers.clear()
        reader = _readers[key] = open_reader(owner.settings, owner.place, owner.append)
    return reader
