"""The floor: what it costs to keep a value at all."""

from __future__ import annotations

from benchmarks.trackers.base import Log, NotOffered, Params, Tracker


class ListAppend(Tracker):
    """`list.append` of a tuple: no file, no run, nothing left after the process."""

    name = "list.append (floor)"
    imports = "pass"
    script = "rows = []\nrows.append((0, {'loss': 1.0}))\n"

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        self._rows: list[tuple[int, dict[str, float]]] = []
        append = self._rows.append
        return lambda values, step: append((step, values))

    def finish(self) -> None:
        return

    def count(self, metric: str) -> int:
        raise NotOffered("nothing is kept")
