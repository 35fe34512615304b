"""The inputs and outputs of a model: a description of the data, and its first rows as an example.

Both are read from the data as it is: nothing is copied whole, made dense or consumed. Data that cannot be read
without consuming it (generators, loaders) has a description by type and no example.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autotrack.values import plain

ROWS = 5
MOST_COLUMNS = 1000
MOST_CELLS = 20_000


@dataclass(frozen=True)
class _Kind:
    """One kind of data: `schema(data)` describes it, `example(data)` returns its first rows, or why there are none.

    `fits(data)` is whether data is of this kind; `read(kept)` converts an example back into data.
    """

    fits: Callable[[Any], bool]
    schema: Callable[[Any], dict[str, Any]]
    example: Callable[[Any], dict[str, Any] | str]
    read: Callable[[dict[str, Any]], Any]


def schema_of(data: Any) -> dict[str, Any] | None:
    """The kind, columns, dtypes and shape of `data` as plain values, the number of rows left open; None for None."""
    if data is None:
        return None
    name = _kind_of(data)
    return {"kind": name, **_KINDS[name].schema(data)}


def signature_of(inputs: Any, outputs: Any = None) -> dict[str, Any]:
    """The signature of a model with inputs such as `inputs` and outputs such as `outputs`."""
    return {"inputs": schema_of(inputs), "outputs": schema_of(outputs)}


def example_bytes(data: Any) -> tuple[bytes | None, str]:
    """The first five rows as JSON and ""; or None and, in a few words, the reason why there are none."""
    content = _example(data)
    if isinstance(content, str):
        return None, content
    return json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace"), ""


def read_example(content: bytes) -> Any:
    """The rows that `example_bytes` kept: a DataFrame, an array (of a tensor, too), a sparse matrix, a list, a dict."""
    return _read(json.loads(content))


def is_frame(data: Any) -> bool:
    """Whether `data` is a pandas or polars DataFrame."""
    return any(isinstance(data, getattr(sys.modules.get(library), "DataFrame", ())) for library in ("pandas", "polars"))


def is_sparse(data: Any) -> bool:
    """Whether `data` is a SciPy sparse matrix or array."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(data))


def rows_of(data: Any, rows: Any) -> Any:
    """Some rows of an array, frame, series, CSR matrix or list as the same kind of data; None for anything else.

    `rows` is a slice or, except for a list, an array of indices.
    """
    if is_sparse(data):
        return data[rows] if data.format == "csr" else None
    library = type(data).__module__.partition(".")[0]
    if library == "pandas":
        return data.iloc[rows]
    if type(data) in (list, tuple) or library in ("polars", "numpy"):
        return data[rows]
    return None


def _kind_of(data: Any) -> str:
    return next(name for name, kind in _KINDS.items() if kind.fits(data))


def _example(data: Any) -> dict[str, Any] | str:
    name = _kind_of(data)
    found = _KINDS[name].example(data)
    return found if isinstance(found, str) else {"kind": name, **found}


def _read(kept: dict[str, Any]) -> Any:
    return _KINDS[kept["kind"]].read(kept)


def _first_rows(data: Any) -> tuple[Any, str]:
    """The first five rows, or None and why there are none: too many values, or data that reading would change."""
    cells = ROWS * math.prod(int(length) for length in getattr(data, "shape", (0,))[1:])
    if cells > MOST_CELLS:
        return None, f"five rows have {cells:,} values, more than {MOST_CELLS:,}"
    head = rows_of(data, slice(0, ROWS))
    return head, "" if head is not None else _unreadable(data)


def _unreadable(data: Any) -> str:
    return f"the first rows of a {type(data).__qualname__} cannot be read without an effect"


def _frame_schema(data: Any) -> dict[str, Any]:
    names = list(data.columns)
    columns = [
        {"name": str(name), "dtype": str(dtype)} for name, dtype in zip(names[:MOST_COLUMNS], data.dtypes, strict=False)
    ]
    return {"columns": columns, "count": len(names)}


def _frame_example(data: Any) -> dict[str, Any] | str:
    head, why_not = _first_rows(data)
    if head is None:
        return why_not
    names = [str(name) for name in head.columns]
    records = head.rows() if hasattr(head, "rows") else head.to_numpy(dtype=object).tolist()
    rows = [[plain(value) for value in row] for row in records]
    return {"columns": names, "dtypes": [str(kind) for kind in head.dtypes], "data": rows}


def _frame_read(kept: dict[str, Any]) -> Any:
    import pandas

    frame = pandas.DataFrame(kept["data"], columns=kept["columns"])
    return frame.astype(dict(zip(kept["columns"], kept["dtypes"], strict=True)))


def _sparse_schema(data: Any) -> dict[str, Any]:
    return {"dtype": str(data.dtype), "shape": [None, int(data.shape[1])]}


def _sparse_example(data: Any) -> dict[str, Any] | str:
    head = rows_of(data, slice(0, ROWS))
    if head is None:
        return f"the first rows of a sparse matrix in the format {data.format} cannot be read cheaply"
    if head.nnz > MOST_CELLS:
        return f"five rows have {head.nnz:,} values, more than {MOST_CELLS:,}"
    return {
        "dtype": str(head.dtype), "shape": [int(length) for length in head.shape],
        "data": head.data.tolist(), "indices": head.indices.tolist(), "indptr": head.indptr.tolist(),
    }  # fmt: skip


def _sparse_read(kept: dict[str, Any]) -> Any:
    import numpy
    from scipy.sparse import csr_matrix

    return csr_matrix((numpy.array(kept["data"], kept["dtype"]), kept["indices"], kept["indptr"]), shape=kept["shape"])


def _array_schema(data: Any) -> dict[str, Any]:
    found = {"dtype": str(data.dtype).removeprefix("torch."), "shape": [None, *map(int, data.shape[1:])]}
    name = getattr(data, "name", None)
    return found if name is None else {**found, "name": str(name)}


def _array_example(data: Any) -> dict[str, Any] | str:
    if type(data).__module__.partition(".")[0] == "torch" and hasattr(data, "numpy"):
        if str(data.dtype) == "torch.bfloat16" or not data.shape:
            return f"a tensor of shape {tuple(data.shape)} and dtype {data.dtype} has no rows that NumPy knows"
        data = data[:ROWS].detach().cpu().numpy()
    head, why_not = _first_rows(data)
    if head is None:
        return why_not
    values = head.to_list() if hasattr(head, "to_list") else head.tolist()
    return {"dtype": str(head.dtype), "data": plain(values)}


def _array_read(kept: dict[str, Any]) -> Any:
    import numpy

    return numpy.array(kept["data"], dtype=kept["dtype"])


def _mapping_schema(data: Mapping[Any, Any]) -> dict[str, Any]:
    return {"items": {str(key): schema_of(value) for key, value in data.items()}}


def _mapping_example(data: Mapping[Any, Any]) -> dict[str, Any] | str:
    kept = {}
    for key, value in data.items():
        example = _example(value)
        if isinstance(example, str):
            return f"{key}: {example}"
        kept[str(key)] = example
    return {"data": kept}


def _mapping_read(kept: dict[str, Any]) -> Any:
    return {key: _read(value) for key, value in kept["data"].items()}


def _list_schema(data: Any) -> dict[str, Any]:
    return {"type": type(data[0]).__name__ if data else ""}


def _list_example(data: Any) -> dict[str, Any] | str:
    head = data[:ROWS]
    if not all(type(item) in (str, int, float, bool, list, tuple) for item in head):
        return f"a list of {type(head[0]).__qualname__} is not kept"
    values = plain(list(head))
    return {"data": values} if len(json.dumps(values)) <= MOST_CELLS * 20 else "five rows are too long"


def _other_schema(data: Any) -> dict[str, Any]:
    return {"type": f"{type(data).__module__}.{type(data).__qualname__}"}


def _other_example(data: Any) -> str:
    if isinstance(data, Mapping):
        return f"it has more than {MOST_COLUMNS} parts"
    return _first_rows(data)[1] or _unreadable(data)


# In order of precedence: data is of the first kind that fits.
_KINDS = {
    "frame": _Kind(is_frame, _frame_schema, _frame_example, _frame_read),
    "sparse": _Kind(is_sparse, _sparse_schema, _sparse_example, _sparse_read),
    "array": _Kind(
        lambda data: hasattr(data, "shape") and hasattr(data, "dtype"), _array_schema, _array_example, _array_read
    ),
    "mapping": _Kind(
        lambda data: isinstance(data, Mapping) and len(data) <= MOST_COLUMNS,
        _mapping_schema, _mapping_example, _mapping_read,
    ),
    "list": _Kind(
        lambda data: type(data) in (list, tuple), _list_schema, _list_example, lambda kept: kept["data"]
    ),
    "other": _Kind(lambda data: True, _other_schema, _other_example, _array_read),
}  # fmt: skip
