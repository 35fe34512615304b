"""Functions of higher layers that lower layers call; `autotrack._wiring` sets them when autotrack is imported.

A lower layer calls, say, `_upcalls.watch(...)` and does not import the module that implements it. Apart from the
failure hooks of `_guard` there are no other calls from a lower to a higher layer.
"""

from __future__ import annotations

TYPE_CHECKING = False  # every program that imports autotrack loads this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

record_html: Callable[[Any], str]  # the HTML of a `Record` in a notebook
runs_html: Callable[[Any], str]  # the HTML of `Runs`
comparison_html: Callable[[Any], str]  # the HTML of a `Comparison`
groups_html: Callable[[Any], str]  # the HTML of `Groups`
run_card: Callable[..., str]  # the HTML of an open `Run`, given its name, id, status, experiment and latest metrics
plot_record: Callable[..., Any]  # `Record.plot`
plot_runs: Callable[..., Any]  # `Runs.plot`
watch: Callable[..., Any]  # `Run.watch`: run, model, optimizer, every
keep_output: Callable[..., Any]  # makes the `Console` that keeps the output of a notebook's cells: emit, report
