"""Descriptions of datasets without their content: shape, columns, types and a bounded fingerprint.

The fingerprint covers all bytes of small arrays and a fixed sample of rows of large ones; `meta["digest_of"]` names
which. Data is never copied whole, made dense or consumed: of generators and loaders only type and length are recorded.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

WHOLE = 4 << 20
SAMPLED_ROWS = 512
LONGEST_LIST = 1000
SHAPE_ONLY = "shape and columns only"


def describe(data: Any) -> tuple[str, dict[str, Any]]:
    """The fingerprint of `data` as a SHA-256 in hex (empty if none can be computed), and its description."""
    meta: dict[str, Any] = {"type": f"{type(data).__module__}.{type(data).__qualname__}"}
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, (pandas.DataFrame, pandas.Series)):
        return _frame(data, meta)
    if hasattr(data, "tocsr") and hasattr(data, "nnz"):
        return _sparse(data, meta)
    if hasattr(data, "__array_interface__") or (hasattr(data, "shape") and hasattr(data, "dtype")):
        return _array(data, meta)
    if isinstance(data, (list, tuple)):
        meta["rows"] = len(data)
        if data and isinstance(data[0], (list, tuple)):
            meta["columns"] = len(data[0])
        sample = repr(data[:LONGEST_LIST])
        meta["digest_of"] = "all" if len(data) <= LONGEST_LIST else f"the first {LONGEST_LIST} items"
        return hashlib.sha256(f"{len(data)} {sample}".encode(errors="surrogatepass")).hexdigest(), meta
    shape = getattr(data, "shape", None)  # polars and Arrow tables
    columns = getattr(data, "column_names", None) or getattr(data, "columns", None)
    if isinstance(shape, tuple) and columns is not None:
        meta.update(
            rows=int(shape[0]), columns=int(shape[1]), names=[str(name) for name in list(columns)[:LONGEST_LIST]]
        )
        return "", meta
    length = getattr(type(data), "__len__", None)
    if length is not None:
        meta["rows"] = len(data)
    return "", meta


def _frame(data: Any, meta: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    import pandas

    table = data.to_frame() if isinstance(data, pandas.Series) else data
    rows, columns = table.shape
    names = [str(name) for name in table.columns[:LONGEST_LIST]]
    dtypes = [str(dtype) for dtype in table.dtypes.iloc[:LONGEST_LIST]]
    meta.update(rows=rows, columns=columns, names=names, dtypes=dtypes)
    chosen, meta["digest_of"] = _chosen_rows(rows, int(table.memory_usage(deep=False).sum()))
    sample = table if chosen is None else table.iloc[chosen]
    digest = hashlib.sha256(repr((rows, names, dtypes)).encode())
    try:
        digest.update(pandas.util.hash_pandas_object(sample, index=False).to_numpy().tobytes())
    except TypeError:  # columns of unhashable objects
        meta["digest_of"] = SHAPE_ONLY
    return digest.hexdigest(), meta


def _array(data: Any, meta: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    shape = tuple(int(length) for length in data.shape)
    meta.update(shape=list(shape), dtype=str(data.dtype))
    if shape:
        meta["rows"] = shape[0]
        meta["columns"] = shape[1] if len(shape) > 1 else 1
    device = str(getattr(data, "device", "cpu"))
    if not device.startswith(("cpu", "Cpu", "TFRT_CPU")):
        return "", {**meta, "device": device}
    import numpy

    size = int(getattr(data, "nbytes", 0) or 0)
    chosen, meta["digest_of"] = _chosen_rows(shape[0] if shape else 1, size)
    sample = data if chosen is None or not shape else data[chosen]
    detach = getattr(sample, "detach", None)
    values = numpy.asarray(detach() if callable(detach) else sample)
    digest = hashlib.sha256(repr((shape, str(data.dtype))).encode())
    if values.dtype.hasobject:
        digest.update(repr(values[:LONGEST_LIST].tolist()).encode(errors="surrogatepass"))
    else:
        digest.update(numpy.ascontiguousarray(values).view(numpy.uint8).data if values.size else b"")
    return digest.hexdigest(), meta


def _sparse(data: Any, meta: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    rows, columns = (int(length) for length in data.shape)
    meta.update(rows=rows, columns=columns, dtype=str(data.dtype), nonzero=int(data.nnz), format=str(data.format))
    digest = hashlib.sha256(repr((rows, columns, int(data.nnz), str(data.format))).encode())
    for name in ("data", "indices", "indptr", "row", "col"):
        part = getattr(data, name, None)
        if part is not None and hasattr(part, "tobytes") and getattr(part, "ndim", 0) == 1:
            digest.update(part[: WHOLE // 16].tobytes())
    meta["digest_of"] = "the first stored values"
    return digest.hexdigest(), meta


def _chosen_rows(rows: int, size: int) -> tuple[Any, str]:
    if size <= WHOLE:
        return None, "all"
    import numpy

    chosen = numpy.unique(numpy.linspace(0, rows - 1, SAMPLED_ROWS).astype(numpy.int64))
    return chosen, f"{len(chosen)} rows, evenly spaced"
