"""The executed cells of an IPython shell: the code of each at its execution, their order, and the current one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class NotebookCell:
    """One execution of a cell: its execution count, its code, and the cell's id in the notebook, if known."""

    number: int
    code: str
    id: str = ""

    def is_same_as(self, other: NotebookCell) -> bool:
        """Whether both are executions of one cell, by id (the code may have been edited); without ids, by code."""
        return self.id == other.id if self.id and other.id else self.code == other.code


class Cells:
    """The cell executions of one shell, oldest first; unlike IPython's own history they survive `%reset`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._all: list[NotebookCell] = _executed_before(shell)
        self._next: int = shell.execution_count

    def __len__(self) -> int:
        return len(self._all)

    def first(self, count: int) -> list[NotebookCell]:
        """The first `count` executions."""
        return self._all[:count]

    @property
    def latest(self) -> NotebookCell | None:
        """The cell that is running or, between cells, the one that ran last; None before the first."""
        return self._all[-1] if self._all else None

    def add(self, code: str, cell_id: str | None) -> None:
        """Add the execution of a cell, at its start."""
        self._all.append(NotebookCell(self._next, code, cell_id or ""))

    def ended(self) -> None:
        """Read the next execution count at the end of a cell, where it is correct in all versions of IPython."""
        self._next = self._shell.execution_count


def _executed_before(shell: Any) -> list[NotebookCell]:
    """The executions in IPython's history of this session, including the cell that is running."""
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None) or []
    found = [NotebookCell(number, code) for number, code in enumerate(history) if number and code]
    if found:
        found[-1] = replace(found[-1], id=_id_of_running_cell(shell))
    return found


def _id_of_running_cell(shell: Any) -> str:
    """The cell id that the front end sent with the current execute request; empty if it sent none."""
    with suppress(Exception):  # `get_parent` and its result differ between shells and versions
        return str(shell.get_parent()["metadata"].get("cellId") or "")
    return ""
