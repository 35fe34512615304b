"""What goes into a model and comes out of it: a description of the data, and its first rows as an example.

Both are read from the data that is there: nothing is copied whole, made dense or consumed. Data that cannot be
looked at without consuming it (generators, loaders) has a description by type and no example.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from autotrack.values import plain

ROWS = 5
MOST_COLUMNS = 1000
MOST_CELLS = 20_000


def schema_of(data: Any) -> dict[str, Any] | None:
    """The kind, columns, dtypes and shape of `data` as plain values, the number of rows left open; None for None."""
    if data is None:
        return None
    if is_frame(data):
        names = list(data.columns)
        columns = [
            {"name": str(name), "dtype": str(dtype)}
            for name, dtype in zip(names[:MOST_COLUMNS], data.dtypes, strict=False)
        ]
        return {"kind": "frame", "columns": columns, "count": len(names)}
    if is_sparse(data):
        return {"kind": "sparse", "dtype": str(data.dtype), "shape": [None, int(data.shape[1])]}
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        found = {
            "kind": "array",
            "dtype": str(data.dtype).removeprefix("torch."),
            "shape": [None, *map(int, data.shape[1:])],
        }
        name = getattr(data, "name", None)
        return found if name is None else {**found, "name": str(name)}
    if isinstance(data, Mapping) and len(data) <= MOST_COLUMNS:
        return {"kind": "mapping", "items": {str(key): schema_of(value) for key, value in data.items()}}
    if type(data) in (list, tuple):
        return {"kind": "list", "type": type(data[0]).__name__ if data else ""}
    return {"kind": "other", "type": f"{type(data).__module__}.{type(data).__qualname__}"}


def signature_of(inputs: Any, outputs: Any = None) -> dict[str, Any]:
    """The signature of a model that takes data such as `inputs` and gives data such as `outputs`."""
    return {"inputs": schema_of(inputs), "outputs": schema_of(outputs)}


def example_bytes(data: Any) -> tuple[bytes | None, str]:
    """The first five rows as JSON, or None and, in one sentence, why there are none."""
    content = _example(data)
    if isinstance(content, str):
        return None, content
    return json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace"), ""


def read_example(content: bytes) -> Any:
    """The rows that `example_bytes` kept: a DataFrame, an array (of a tensor, too), a sparse matrix, a list, a dict."""
    return _read(json.loads(content))


def _read(kept: dict[str, Any]) -> Any:
    if kept["kind"] == "mapping":
        return {key: _read(value) for key, value in kept["data"].items()}
    if kept["kind"] == "list":
        return kept["data"]
    import numpy

    if kept["kind"] == "frame":
        import pandas

        frame = pandas.DataFrame(kept["data"], columns=kept["columns"])
        return frame.astype(dict(zip(kept["columns"], kept["dtypes"], strict=True)))
    if kept["kind"] == "sparse":
        from scipy.sparse import csr_matrix

        parts = (numpy.array(kept["data"], kept["dtype"]), kept["indices"], kept["indptr"])
        return csr_matrix(parts, shape=kept["shape"])
    return numpy.array(kept["data"], dtype=kept["dtype"])


def is_frame(data: Any) -> bool:
    """Whether it is a pandas or polars DataFrame."""
    return any(isinstance(data, getattr(sys.modules.get(library), "DataFrame", ())) for library in ("pandas", "polars"))


def is_sparse(data: Any) -> bool:
    """Whether it is a SciPy sparse matrix or array."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(data))


def rows_of(data: Any, rows: slice) -> Any:
    """Some rows of an array, frame, series, CSR matrix or list as the same kind of data; None for anything else."""
    if is_sparse(data):
        return data[rows] if data.format == "csr" else None
    library = type(data).__module__.partition(".")[0]
    if library == "pandas":
        return data.iloc[rows]
    if type(data) in (list, tuple) or library in ("polars", "numpy"):
        return data[rows]
    return None


def _example(data: Any) -> dict[str, Any] | str:
    if isinstance(data, Mapping):
        return _examples(data)
    if type(data).__module__.partition(".")[0] == "torch" and hasattr(data, "numpy"):
        if str(data.dtype) == "torch.bfloat16" or not data.shape:
            return f"a tensor of shape {tuple(data.shape)} and dtype {data.dtype} has no rows that NumPy knows"
        data = data[:ROWS].detach().cpu().numpy()
    columns = getattr(data, "shape", (0,))[1:]
    cells = ROWS
    for length in columns:
        cells *= int(length)
    if is_sparse(data):
        return _sparse_example(data)
    if cells > MOST_CELLS:
        return f"five rows have {cells:,} values, more than {MOST_CELLS:,}"
    head = rows_of(data, slice(0, ROWS))
    if head is None:
        return f"the first rows of a {type(data).__qualname__} cannot be read without an effect"
    if is_frame(head):
        names = [str(name) for name in head.columns]
        records = head.rows() if hasattr(head, "rows") else head.to_numpy(dtype=object).tolist()
        rows = [[plain(value) for value in row] for row in records]
        return {"kind": "frame", "columns": names, "dtypes": [str(kind) for kind in head.dtypes], "data": rows}
    if hasattr(head, "dtype"):
        values = head.to_list() if hasattr(head, "to_list") else head.tolist()
        return {"kind": "array", "dtype": str(head.dtype), "data": plain(values)}
    if not all(type(item) in (str, int, float, bool, list, tuple) for item in head):
        return f"a list of {type(head[0]).__qualname__} is not kept"
    text = plain(list(head))
    if len(json.dumps(text)) > MOST_CELLS * 20:
        return "five rows are too long"
    return {"kind": "list", "data": text}


def _examples(data: Mapping[Any, Any]) -> dict[str, Any] | str:
    kept = {}
    for key, value in list(data.items())[: MOST_COLUMNS + 1]:
        example = _example(value)
        if isinstance(example, str):
            return f"{key}: {example}"
        kept[str(key)] = example
    return {"kind": "mapping", "data": kept} if len(kept) <= MOST_COLUMNS else f"it has more than {MOST_COLUMNS} parts"


def _sparse_example(data: Any) -> dict[str, Any] | str:
    head = rows_of(data, slice(0, ROWS))
    if head is None:
        return f"the first rows of a sparse matrix in the format {data.format} cannot be read cheaply"
    if head.nnz > MOST_CELLS:
        return f"five rows have {head.nnz:,} values, more than {MOST_CELLS:,}"
    return {
        "kind": "sparse", "dtype": str(head.dtype), "shape": [int(length) for length in head.shape],
        "data": head.data.tolist(), "indices": head.indices.tolist(), "indptr": head.indptr.tolist(),
    }  # fmt: skip
