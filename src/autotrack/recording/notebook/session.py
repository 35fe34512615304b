"""The session of an IPython shell in this process: hooks at the start and end of each cell.

A run may be opened in one cell, logged to in the next and finished in a third: the end of a cell does not end it. So:

- An exception or interrupt of a cell is reported in the runs that stay open. If it was the cell that opened the run,
  or the last one before the kernel exits, the run ends with the status of that exception.
- When a cell is run again, a run that an earlier execution of the same cell left open is finished before the cell opens
  the next one, which therefore does not become its child.
- Text that cells print while a run is active is recorded as its console output.
- The code of all cells up to the one that opened the run is stored with it, and again up to the one in which it ended.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from autotrack._guard import guarded
from autotrack._process import on_reset
from autotrack.environment.notebook import running_shell
from autotrack.events import Failure, FinalStatus
from autotrack.recording import collector as collector_module
from autotrack.recording.collector import Collector
from autotrack.recording.failures import describe_failure, how_it_ended
from autotrack.recording.notebook.cells import Cells, NotebookCell
from autotrack.recording.notebook.output import KernelOutput
from autotrack.recording.notebook.source import Source
from autotrack.recording.run import Run, open_runs

_LONGEST_MESSAGE = 200


class Session:
    """One IPython shell: its cells, and the runs that were opened in them. Its callbacks never raise an `Exception`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._process = os.getpid()
        self._cells = Cells(shell)
        self._source = Source(self._cells)
        self._output = KernelOutput()
        self._begun_in: dict[str, NotebookCell] = {}
        self._places: dict[str, Path] = {}
        self._open_before: list[Run] = []
        self._last: _Ending | None = None
        self._of_first_cell: dict[str, _Ending] = {}
        for event, callback in self._callbacks().items():
            shell.events.register(event, callback)

    def close(self) -> None:
        """Unregister the callbacks from the shell and stop capturing its output."""
        for event, callback in self._callbacks().items():
            self._shell.events.unregister(event, callback)
        self._output.close()

    def _callbacks(self) -> dict[str, Any]:
        return {"pre_run_cell": self._on_start, "post_run_cell": self._on_end}

    def begun(self, run: Run) -> None:
        """At the start of `run`: remember the current cell, store the code so far, and start capturing output."""
        if run.collector.settings.captures("console"):
            with guarded("listening to the output of cells"):
                self._output.listen(run.collector)
        cell = self._cells.latest
        if cell is None:
            return
        if run.kind in ("run", "job"):  # runs of trainings and searches end in the cell that opened them
            self._begun_in[run.id] = cell
            self._places[run.id] = run.collector.place.path
        if run.collector.settings.captures("notebook"):
            self._keep(run, began=True)

    def make_way(self, owner: Collector) -> None:
        """Finish the runs that an earlier execution of the current cell left open."""
        cell = self._cells.latest
        for run in reversed(open_runs(owner)):
            begun = self._begun_in.get(run.id)
            if cell is None or begun is None or begun is cell or not begun.is_same_as(cell):
                continue
            run.report("notebook", f"ended by running its cell again, as cell [{cell.number}]", level="info")
            self._finish(run)

    def end_what_failed(self) -> None:
        """At a normal kernel exit: finish the runs whose first or last cell raised, with the exception's status."""
        for run in reversed(_open_runs()):
            if self._ending_of(run) is not None:
                self._finish(run)

    def keep_the_rest(self) -> None:
        """Store the code that was executed since the start of each open run, and all queued output."""
        with guarded("the output of cells"):
            self._output.finish()
        for run in _open_runs():
            self._keep_the_rest(run, now=True)

    def _on_start(self, info: Any) -> None:
        with guarded("the start of a cell"):
            self._cells.add(info.raw_cell or "", getattr(info, "cell_id", None))
            self._open_before = _open_runs()
            self._output.listen_again()

    def _on_end(self, result: Any) -> None:
        with guarded("the end of a cell"):
            self._cells.ended()
            owner = collector_module.existing_collector()
            if owner is not None and self._output.has_news:
                owner.background.submit("the output of cells", self._output.fetch)
            for run in self._open_before:
                if not run.is_open:
                    self._keep_the_rest(run)
            self._open_before = []
            error, cell = result.error_before_exec or result.error_in_exec, self._cells.latest
            still_open = _open_runs()
            for known in self._begun_in.keys() - {run.id for run in still_open}:
                del self._begun_in[known], self._places[known]
                self._of_first_cell.pop(known, None)
            self._last = _Ending.of(error) if error is not None and still_open else None
            if self._last is None or cell is None:
                return
            for run in still_open:
                if self._begun_in.get(run.id) is cell:
                    self._of_first_cell[run.id] = self._last
                if run.parent not in run.collector.open_runs:
                    run.report("notebook", f"cell [{cell.number}] raised {self._last.in_short}", level="info")

    def _ending_of(self, run: Run) -> _Ending | None:
        return self._last or self._of_first_cell.get(run.id)

    def _finish(self, run: Run) -> None:
        ending = self._ending_of(run)
        self._keep_the_rest(run)
        if ending is None:
            run.finish()
        else:
            run.finish(ending.status, failure=ending.failure, exit_code=ending.exit_code)

    def _keep_the_rest(self, run: Run, *, now: bool = False) -> None:
        begun, cell, owner = self._begun_in.get(run.id), self._cells.latest, run.collector
        moved = owner.place.path != self._places.get(run.id)  # then the journal is in another folder, without this run
        if begun is not None and begun is not cell and not moved and owner.settings.captures("notebook"):
            self._keep(run, began=False, now=now)

    def _keep(self, run: Run, *, began: bool, now: bool = False) -> None:
        count = len(self._cells)
        task = partial(self._source.keep, run, count, began=began)
        if now or self._source.is_kept(run, count):
            with guarded("the notebook's code"):
                task()
        else:
            run.collector.background.submit("the notebook's code", task)


@dataclass(frozen=True)
class _Ending:
    """The exception of a cell, as the end of a run that stays open after it and is not continued."""

    status: FinalStatus
    failure: Failure | None
    exit_code: int | None

    @classmethod
    def of(cls, error: BaseException) -> _Ending:
        status, exit_code = how_it_ended(error)
        return cls(status, describe_failure(error), exit_code)

    @property
    def in_short(self) -> str:
        assert self.failure is not None
        message = " ".join(self.failure.message.split())[:_LONGEST_MESSAGE]
        return f"{self.failure.type}: {message}" if message else self.failure.type


_sessions: dict[int, Session] = {}


def session() -> Session | None:
    """The session of this process's IPython shell, created on first use; None outside IPython and in a forked child."""
    shell = running_shell()
    if shell is None:
        return None
    found = _sessions.get(id(shell))
    if found is None and not collector_module.is_fork and hasattr(shell, "events"):
        with guarded("listening to the notebook's cells"):
            found = _sessions[id(shell)] = Session(shell)
    return found if found is not None and found._process == os.getpid() else None


@on_reset
def forget() -> None:
    """Close all sessions; the next run creates a new one."""
    while _sessions:
        _sessions.popitem()[1].close()


def _open_runs() -> list[Run]:
    owner = collector_module.existing_collector()
    return [] if owner is None else open_runs(owner)
