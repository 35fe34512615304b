"""The cells that a shell has run, as they were when they ran: their code, their order, which one runs now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One execution of a cell: its execution count, its code, and the id that its notebook knows it by, if known."""

    number: int
    code: str
    id: str = ""

    def is_same_as(self, other: Cell) -> bool:
        """Whether it is the same cell of the notebook, perhaps edited in between; without ids the code tells."""
        return self.id == other.id if self.id and other.id else self.code == other.code


class Cells:
    """The executions of one shell, oldest first. They outlive `%reset`, which makes IPython forget its own list."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._all: list[Cell] = _executed_before(shell)
        self._next: int = shell.execution_count

    def __len__(self) -> int:
        return len(self._all)

    def first(self, count: int) -> list[Cell]:
        """The first `count` executions."""
        return self._all[:count]

    @property
    def latest(self) -> Cell | None:
        """The cell that runs now or, between cells, the one that ran last."""
        return self._all[-1] if self._all else None

    def add(self, code: str, cell_id: str | None) -> None:
        """Note that a cell begins to run."""
        self._all.append(Cell(self._next, code, cell_id or ""))

    def ended(self) -> None:
        """Note that the cell has ended. Only here do all versions of IPython know the number of the next one."""
        self._next = self._shell.execution_count


def _executed_before(shell: Any) -> list[Cell]:
    """What IPython remembers of this session, with the cell that is running now."""
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None) or []
    found = [Cell(number, code) for number, code in enumerate(history) if number and code]
    if found:
        found[-1] = replace(found[-1], id=_id_of_running_cell(shell))
    return found


def _id_of_running_cell(shell: Any) -> str:
    """The id that the front end sent with the request that is being served; empty where there is none."""
    with suppress(Exception):  # of the shell's own making, in whatever version
        return str(shell.get_parent()["metadata"].get("cellId") or "")
    return ""
