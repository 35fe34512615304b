"""Implementations of `_upcalls`: each function imports its module of a higher layer when it is first called."""

from __future__ import annotations

from autotrack import _upcalls

TYPE_CHECKING = False  # every program that imports autotrack loads this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autotrack.launch.console import ConsoleBuffer
    from autotrack.training.neural.loops import WatchedModel


def connect() -> None:
    """Fill `_upcalls`; called once, by `import autotrack`."""
    for call in (
        record_html, runs_html, comparison_html, groups_html, run_card, plot_record, plot_runs, watch, keep_output,
    ):  # fmt: skip
        setattr(_upcalls, call.__name__, call)


def record_html(record: Any) -> str:
    """The HTML representation of a record in a notebook."""
    from autotrack.outputs.html import records

    return records.record_html(record)


def runs_html(runs: Any) -> str:
    """The HTML representation of a list of runs in a notebook."""
    from autotrack.outputs.html import records

    return records.runs_html(runs)


def comparison_html(comparison: Any) -> str:
    """The HTML representation of a comparison of runs in a notebook."""
    from autotrack.outputs.html import comparison as side_by_side

    return side_by_side.comparison_html(comparison)


def groups_html(groups: Any) -> str:
    """The HTML representation of groups of runs in a notebook."""
    from autotrack.outputs.html import groups as in_groups

    return in_groups.groups_html(groups)


def run_card(*facts: Any) -> str:
    """The HTML representation of an open run in a notebook."""
    from autotrack.outputs.html import markup

    return markup.run_card(*facts)


def plot_record(record: Any, *args: Any, **options: Any) -> Any:
    """Draw the curves of one run."""
    from autotrack.outputs.plots import curves

    return curves.plot_record(record, *args, **options)


def plot_runs(runs: Any, *args: Any, **options: Any) -> Any:
    """Draw the curves of many runs."""
    from autotrack.outputs.plots import curves

    return curves.plot_runs(runs, *args, **options)


def watch(run: Any, model: Any, optimizer: Any, every: int | None) -> WatchedModel:
    """Record a torch model and the norms of its gradients and weights while it trains; see `Run.watch`."""
    from autotrack.training.neural import loops

    return loops.watch(run, model, optimizer, every)


def keep_output(emit: Callable[[Any, str], None], report: Callable[[str], None]) -> ConsoleBuffer:
    """The `ConsoleBuffer` that keeps the output of a notebook's cells, as for the output of a launched command."""
    from autotrack.launch.console import ConsoleBuffer

    return ConsoleBuffer(emit, report)
