"""Many runs, as a query found them: a light sequence of records that turns into frames and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from autotrack.exceptions import NotFoundError
from autotrack.store.pages import Page
from autotrack.store.records import Emit, Record

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from autotrack.store.engine import Store
    from autotrack.store.groups import Groups

_PAGE = 1000  # runs whose facts are read at once


class Runs(Sequence[Record]):
    """Runs in the order in which they were asked for.

    Knows which runs these are and reads what is looked at, for up to a thousand neighbours at once. It stays a
    list of the same runs; what is read of them is as of the first look.
    """

    def __init__(self, store: Store, pks: Sequence[int], *, emit: Emit | None = None) -> None:
        self._store = store
        self._pks = pks
        self._emit = emit
        self._pages: dict[int, Page] = {}
        self._records: dict[int, Record] = {}

    def __len__(self) -> int:
        return len(self._pks)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Record | Runs:
        if isinstance(index, slice):
            return Runs(self._store, self._pks[index], emit=self._emit)
        return self._record(range(len(self._pks))[index])

    def __iter__(self) -> Iterator[Record]:
        return (self._record(index) for index in range(len(self._pks)))

    def __repr__(self) -> str:
        names = ", ".join(record.name for record in self[:5])
        more = ", …" if len(self) > 5 else ""
        return f"<{len(self)} runs: {names}{more}>" if self._pks else "<0 runs>"

    def _repr_html_(self) -> str:
        from autotrack.store.display import runs_html

        return runs_html(self)

    @property
    def ids(self) -> list[str]:
        """The ids of the runs."""
        from autotrack.store.frames import ids_of

        return ids_of(self._store, self._pks)

    def take(self, indices: Iterable[int]) -> Runs:
        """The runs at these places."""
        return Runs(self._store, [self._pks[index] for index in indices], emit=self._emit)

    def to_arrow(self, aggregates: Sequence[str] = ("last",)) -> pa.Table:
        """One row per run: `run.id`, `run.name`, …, `params.lr`, `metrics.val/loss`, `tags.team`.

        Metrics are their last value; with several `aggregates` (last, first, min, max, count) each has a column, as
        in `metrics.val/loss.min`. A column whose values differ in type is text.
        """
        from autotrack.store.frames import to_arrow

        return to_arrow(self._store, self._pks, aggregates)

    def to_pandas(self, aggregates: Sequence[str] = ("last",)) -> pd.DataFrame:
        """As `to_arrow`, as a pandas DataFrame; columns of mixed types hold the values as they were logged."""
        from autotrack.store.frames import to_pandas

        return to_pandas(self._store, self._pks, aggregates)

    def to_polars(self, aggregates: Sequence[str] = ("last",)) -> pl.DataFrame:
        """As `to_arrow`, as a polars DataFrame."""
        from autotrack.store.frames import to_polars

        return to_polars(self._store, self._pks, aggregates)

    def history(self, metrics: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Every point of the metrics (all by default) as a pandas DataFrame.

        Columns: `run_id` and `metric` (categories), `step` (int64), `time` (UTC), `value` (int64 if all are ints,
        else float64, NaN included). Runs come in their order, metrics as asked for, points as they were logged.
        `NotFoundError` for a metric that none of the runs has.
        """
        from autotrack.store.frames import as_pandas

        return as_pandas(self.history_arrow(metrics), "history")

    def history_arrow(self, metrics: str | Iterable[str] | None = None) -> pa.Table:
        """As `history`, as an Arrow table with `run_id` and `metric` as dictionaries."""
        from autotrack.store.history import read_history

        return read_history(self._store, self._pks, metrics)

    def pareto(self, objectives: Mapping[str, str]) -> Runs:
        """The runs that no other beats in all objectives: `{"metrics.accuracy": "max", "run.duration": "min"}`."""
        from autotrack.store import analysis

        return analysis.pareto(self, objectives)

    def group_by(self, keys: str | Sequence[str], metrics: str | Sequence[str] | None = None) -> Groups:
        """Runs alike in `keys`, with mean, std, min, max and count of the metrics."""
        from autotrack.store import analysis

        return analysis.group_by(self, keys, metrics)

    def plot(self, metric: str, group_by: str | None = None, **options: Any) -> Any:
        """Draw a metric's curves with matplotlib, or mean ± std of each group."""
        from autotrack.store import plot

        return plot.plot_runs(self, metric, group_by=group_by, **options)

    def _record(self, index: int) -> Record:
        record = self._records.get(index)
        if record is None:
            number = index // _PAGE
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = Page(self._store, self._pks[number * _PAGE : (number + 1) * _PAGE])
            row = page.runs().get(self._pks[index])
            if row is None:
                raise NotFoundError("the run has been removed from the store since it was found")
            record = self._records[index] = Record.of(row, page, self._emit)
        return record
