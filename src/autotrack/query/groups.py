"""Groups of runs, with each metric's mean, spread and range within every group."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from autotrack import _upcalls
from autotrack.query.arrow import arrow, as_polars, pandas, polars
from autotrack.query.columns import as_float

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


Numbers = npt.NDArray[np.float64]
Label = tuple[Any, ...]
_ROWS_SHOWN = 60


@dataclass(frozen=True)
class GroupSummary:
    """One metric in one group. `count` runs have a number for it; `std` is the sample's, NaN for a single run."""

    mean: float
    std: float
    min: float
    max: float
    count: int

    @classmethod
    def of(cls, values: Numbers) -> GroupSummary:
        """The summary of the numbers in `values`, shape (runs,); NaN counts as missing."""
        values = values[~np.isnan(values)]
        if not len(values):
            return cls(np.nan, np.nan, np.nan, np.nan, 0)
        with np.errstate(invalid="ignore"):  # the standard deviation of infinities is NaN
            std = float(values.std(ddof=1)) if len(values) > 1 else np.nan
            return cls(float(values.mean()), std, float(values.min()), float(values.max()), len(values))

    def __str__(self) -> str:
        if not self.count:
            return "-"
        spread = f" ± {self.std:.2g}" if self.count > 1 else ""
        return f"{self.mean:.5g}{spread}"


@dataclass(frozen=True)
class Group:
    """A group of runs: their common values of the keys, their number, and a summary per metric."""

    label: Label
    runs: int
    metrics: Mapping[str, GroupSummary]

    def __getitem__(self, metric: str) -> GroupSummary:
        return self.metrics[metric]


class Groups(Sequence[Group]):
    """The groups of `keys`, ordered by their values: bools, numbers, texts, then missing values."""

    def __init__(self, keys: Sequence[str], metrics: Sequence[str], groups: Iterable[Group]) -> None:
        self.keys = tuple(keys)
        self.metrics = tuple(metrics)
        self._groups = tuple(groups)

    @classmethod
    def of(cls, keys: Sequence[str], labels: Sequence[Label], values: Mapping[str, Numbers]) -> Groups:
        """Group rows by their `labels`; `values` holds a number, or NaN, per metric and row."""
        groups = (
            Group(label, len(rows), {metric: GroupSummary.of(numbers[rows]) for metric, numbers in values.items()})
            for label, rows in split(labels)
        )
        return cls(keys, list(values), groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: Any) -> Any:
        return self._groups[index]

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups)

    def to_arrow(self) -> pa.Table:
        """One row per group: a column per key, `runs`, and `<metric>.mean`, `.std`, `.min`, `.max`, `.count`."""
        pa = arrow("to_arrow")
        columns = {key: _arrow_column([group.label[at] for group in self]) for at, key in enumerate(self.keys)}
        columns["runs"] = pa.array([group.runs for group in self], pa.int64())
        for metric in self.metrics:
            for part in ("mean", "std", "min", "max"):
                found = [getattr(group[metric], part) for group in self]
                columns[f"{metric}.{part}"] = pa.array(found, pa.float64(), from_pandas=True)
            columns[f"{metric}.count"] = pa.array([group[metric].count for group in self], pa.int64())
        return pa.table(columns)

    def to_pandas(self) -> pd.DataFrame:
        """The table of `to_arrow` as a DataFrame."""
        pandas("to_pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The table of `to_arrow` as a polars DataFrame."""
        polars("to_polars")
        return as_polars(self.to_arrow(), "to_polars")

    def __repr__(self) -> str:
        rows = self.cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self.remarks()])

    def _repr_html_(self) -> str:
        return _upcalls.groups_html(self)

    def cells(self) -> list[list[str]]:
        """The titles of the columns, then a row of text cells for each of the first groups."""
        head = [*self.keys, "runs", *self.metrics]
        body = [
            [*map(shown, group.label), str(group.runs), *(str(group[metric]) for metric in self.metrics)]
            for group in self._groups[:_ROWS_SHOWN]
        ]
        return [head, *body]

    def remarks(self) -> list[str]:
        """A line that counts the groups left out by `cells`; empty if there are none."""
        rest = len(self) - _ROWS_SHOWN
        return [f"… and {rest} more groups"] if rest > 0 else []


def split(labels: Sequence[Label]) -> list[tuple[Label, list[int]]]:
    """The distinct labels in order, each with the indices of its rows. 1 and 1.0 are one label, 1 and True are two."""
    rows: dict[tuple[Any, ...], list[int]] = {}
    for index, label in enumerate(labels):
        rows.setdefault(tuple(identity(part) for part in label), []).append(index)
    return [(labels[rows[identity][0]], rows[identity]) for identity in sorted(rows)]


def shown(value: Any) -> str:
    """A value of a label as text for a table or legend."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return digits(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def digits(value: int) -> str:
    """The decimal digits of an int, or hexadecimal ones if it exceeds Python's limit for decimal conversion."""
    try:
        return str(value)
    except ValueError:
        return hex(value)


def identity(value: Any) -> tuple[int, float, str]:
    """A sort key, equal for values of one group (1 and 1.0): bools, numbers by size, texts, then missing values."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return (3, 0.0, str(value))
    if isinstance(value, bool):
        return (0, float(value), "")
    if isinstance(value, int | float):
        exact = abs(value) <= 1 << 53 or (isinstance(value, float) and math.isinf(value))
        return (1, as_float(value), "" if exact else hex(int(value)))
    return (2, 0.0, value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))


def _arrow_column(values: list[Any]) -> pa.Array:
    """An Arrow array of the values: typed if they are of one kind, else as text."""
    pa = arrow("to_arrow")
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) > 1:
        return pa.array([None if value is None else as_float(value) for value in values], pa.float64())
    if len(kinds) == 1 and kinds <= {bool, int, float, str}:
        try:
            return pa.array(values)
        except (OverflowError, pa.ArrowInvalid):
            pass
    return pa.array([None if value is None else shown(value) for value in values], pa.string())
