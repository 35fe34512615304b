"""Runs and histories as Arrow tables, and DataFrames made from these. Needs pyarrow, an optional package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotrack.exceptions import MissingDependencyError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from autotrack.query.frames import FrameColumn
    from autotrack.query.history import History


def arrow(purpose: str) -> Any:
    """Import pyarrow; `MissingDependencyError`, which names the extra, if it is not installed."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "arrow", purpose) from error
    return pyarrow


def pandas(purpose: str) -> Any:
    """Import pandas and pyarrow; `MissingDependencyError`, which names the extra, if one is not installed."""
    try:
        import pandas
        import pyarrow  # noqa: F401 - DataFrames are made from Arrow tables
    except ImportError as error:
        raise MissingDependencyError(error.name or "pandas", "pandas", purpose) from error
    return pandas


def polars(purpose: str) -> Any:
    """Import polars and pyarrow; `MissingDependencyError`, which names the extra, if one is not installed."""
    try:
        import polars
        import pyarrow  # noqa: F401 - DataFrames are made from Arrow tables
    except ImportError as error:
        raise MissingDependencyError(error.name or "polars", "polars", purpose) from error
    return polars


def types() -> dict[str, pa.DataType]:
    """The Arrow type of each kind of column."""
    pa = arrow("an Arrow table")
    return {
        "text": pa.string(),
        "int": pa.int64(),
        "real": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
        "texts": pa.list_(pa.string()),
        "nothing": pa.null(),
    }


def runs_table(columns: Mapping[str, FrameColumn]) -> pa.Table:
    """An Arrow table with one row per run; a column whose values differ in type is text."""
    pa = arrow("to_arrow")
    return pa.table({name: _array(column) for name, column in columns.items()})


def runs_frame(columns: Mapping[str, FrameColumn]) -> pd.DataFrame:
    """A DataFrame with one row per run; ints and bools that some runs lack are nullable, mixed types are objects."""
    frames = pandas("to_pandas")
    nullable = {"int": "Int64", "bool": "boolean"}

    def series(column: FrameColumn) -> Any:
        if column.kind is None:
            return frames.Series(column.values, dtype=object)
        if column.kind in nullable and None in column.values:
            return frames.array(column.values, dtype=nullable[column.kind])
        return _array(column).to_pandas()

    frame: pd.DataFrame = frames.DataFrame({name: series(column) for name, column in columns.items()})
    return frame


def as_polars(table: pa.Table, purpose: str) -> pl.DataFrame:
    """An Arrow table as a polars DataFrame."""
    frame: pl.DataFrame = polars(purpose).from_arrow(table)
    return frame


def history_table(history: History) -> pa.Table:
    """An Arrow table of points with the columns run_id, metric (both dictionaries), step, time and value."""
    pa = arrow("history_arrow")
    return pa.table(
        {
            "run_id": _dictionary(history.run, history.ids),
            "metric": _dictionary(history.metric, history.names),
            "step": history.step,
            "time": pa.array(history.time).view(types()["time"]),
            "value": history.value,
        }
    )


def history_frame(history: History) -> pd.DataFrame:
    """The table of `history_table` as a pandas DataFrame."""
    pandas("history")
    frame: pd.DataFrame = history_table(history).to_pandas()
    return frame


def _array(column: FrameColumn) -> pa.Array:
    if column.kind is not None:
        return arrow("to_arrow").array(column.values, types()[column.kind])
    return arrow("to_arrow").array(column.texts(), types()["text"])


def _dictionary(codes: npt.NDArray[np.int32], words: list[str]) -> pa.DictionaryArray:
    pa = arrow("history_arrow")
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(words, pa.string()))
