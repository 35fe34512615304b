"""The calls that a lower room makes to a higher one: each is handed in by `autotrack._wiring` as autotrack is imported.

But for the hooks that `_guard` calls when something of ours fails, there are no others. A room calls, say,
`_upcalls.watch(...)` and does not know who answers.
"""

from __future__ import annotations

TYPE_CHECKING = False  # every program that imports autotrack loads this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

record_html: Callable[[Any], str]  # what a notebook shows of a `Record`
runs_html: Callable[[Any], str]  # … of `Runs`
comparison_html: Callable[[Any], str]  # … of a `Comparison`
groups_html: Callable[[Any], str]  # … of `Groups`
run_card: Callable[..., str]  # … of an open `Run`: name, id, status, experiment, latest metrics
plot_record: Callable[..., Any]  # `Record.plot`
plot_runs: Callable[..., Any]  # `Runs.plot`
watch: Callable[..., Any]  # `Run.watch`: run, model, optimizer, every
keep_output: Callable[..., Any]  # what keeps the output of a notebook's cells for a run: emit, report
