"""Conversion of figures, images, tables and texts to bytes of a media type that a page can display."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from autotrack.events import MediaKind
from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.values import plain

PARQUET = "application/vnd.apache.parquet"


@dataclass(frozen=True)
class AsMedia:
    """A media object as bytes: its kind, the bytes and their media type."""

    kind: MediaKind
    data: bytes
    media_type: str


def as_media(key: str, value: Any) -> AsMedia | None:
    """`value` as media; None if it is neither a text nor a known figure, image or table."""
    if isinstance(value, str):
        return AsMedia("text", value.encode(errors="surrogatepass"), "text/plain")
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(value).__mro__}
    if "matplotlib.Figure" in names:
        return AsMedia("figure", _matplotlib_png(value), "image/png")
    if "matplotlib.Axes" in names:
        return AsMedia("figure", _matplotlib_png(value.figure), "image/png")
    if "plotly.BaseFigure" in names or "plotly.Figure" in names:
        return AsMedia("figure", value.to_json().encode(), "application/vnd.plotly.v1+json")
    if "PIL.Image" in names:
        return AsMedia("image", _pil_png(value), "image/png")
    if names & {"pandas.DataFrame", "polars.DataFrame", "pyarrow.Table"}:
        return AsMedia("table", *table_bytes(key, value))
    return None


def table_bytes(name: str, data: Any) -> tuple[bytes, str]:
    """A table as Parquet: from a pandas or polars DataFrame, an Arrow table, columns by name, or rows.

    Returns the bytes and their media type; `InvalidValueError` if `data` cannot be read as a table,
    `MissingDependencyError` without pyarrow.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "arrow", "log_table") from error
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    try:
        if kind == "pandas.DataFrame":
            table = pyarrow.Table.from_pandas(data)
        elif kind == "polars.DataFrame":
            table = data.to_arrow()
        elif kind == "pyarrow.Table":
            table = data
        elif isinstance(data, dict):
            table = pyarrow.table({str(key): plain(list(values)) for key, values in data.items()})
        else:
            table = pyarrow.Table.from_pylist([_row(row) for row in data])
    except (TypeError, ValueError, AttributeError, pyarrow.ArrowException) as error:
        raise InvalidValueError(
            f"table {name!r}: a {type(data).__name__} cannot be read as a table ({error}); give a DataFrame, "
            "a dict of columns or a list of dicts"
        ) from error
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue(), PARQUET


def _row(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TypeError(f"a row is a dict of column names to values, not a {type(row).__name__}")
    return {str(key): plain(value) for key, value in row.items()}


def _matplotlib_png(figure: Any) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=150, bbox_inches="tight")
    return target.getvalue()


def _pil_png(image: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, format="PNG")
    return target.getvalue()
