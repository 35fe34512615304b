"""The code of the cells, stored with a run as one script in which `# %% [3]` starts the cell of execution count 3.

A cell that is likely to contain a secret is withheld as a whole, and both the script and the capture report name it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from autotrack.environment.redaction import has_secret
from autotrack.journal import blobs as blobs_module
from autotrack.recording import messages
from autotrack.recording.notebook.cells import Cells, NotebookCell
from autotrack.recording.run import Run

CODE = "notebook/code.py"
CELL = "notebook/cell.py"
MEDIA_TYPE = "text/x-python"
_WITHHELD = "# withheld: this cell is likely to hold a secret\n"


@dataclass(frozen=True)
class _Kept:
    """A script stored as a blob: SHA-256, size in bytes, and the execution counts of the withheld cells."""

    digest: str
    size: int
    withheld: tuple[int, ...]


class Source:
    """Stores the script of the first cells of a session; each cell is processed once. Thread-safe."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._lock = threading.RLock()  # reentrant, as a signal handler may interrupt a holder on the same thread
        self._parts: list[str] = []
        self._withheld: list[tuple[int, int]] = []  # the place in the session, and the execution count
        self._kept: dict[tuple[Path, int], _Kept] = {}
        self._told: set[tuple[str, int]] = set()

    def is_kept(self, run: Run, count: int) -> bool:
        """Whether the script of the first `count` cells is stored already, so that `keep` is cheap."""
        return (run.collector.place.blobs, count) in self._kept

    def keep(self, run: Run, count: int, *, began: bool) -> None:
        """Store the script of the first `count` cells with `run`; with `began` also the last cell on its own."""
        with self._lock:
            kept = self._script(run, count)
            cell = self._cells.first(count)[-1]
            part = self._parts[count - 1]
        meta = {"cell": cell.number, "cells": count, "withheld": list(kept.withheld)}
        run._record_artifact(CODE, kept.digest, kept.size, kind="source", media_type=MEDIA_TYPE, meta=meta)
        if began:
            run.log_bytes(part.encode(errors="backslashreplace"), CELL, kind="source", media_type=MEDIA_TYPE)
        for number in kept.withheld:
            if (run.id, number) not in self._told:
                self._told.add((run.id, number))
                run.report("notebook", f"the code of cell [{number}] was withheld: it is likely to hold a secret")
                messages.count_missing(run.id, 1)

    def _script(self, run: Run, count: int) -> _Kept:
        for place, cell in enumerate(self._cells.first(count)[len(self._parts) :], len(self._parts)):
            secret = has_secret(cell.code)
            if secret:
                self._withheld.append((place, cell.number))
            self._parts.append(_part(cell, withheld=secret))
        blobs = run._blob_folder()
        kept = self._kept.get((blobs, count))
        if kept is None:
            data = "\n".join(self._parts[:count]).encode(errors="backslashreplace")
            withheld = tuple(number for place, number in self._withheld if place < count)
            kept = self._kept[blobs, count] = _Kept(blobs_module.put_bytes(blobs, data), len(data), withheld)
        return kept


def _part(cell: NotebookCell, *, withheld: bool) -> str:
    code = _WITHHELD if withheld else cell.code if cell.code.endswith("\n") else f"{cell.code}\n"
    return f"# %% [{cell.number}]\n{code}"
