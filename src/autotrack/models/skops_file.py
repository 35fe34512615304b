"""Writing a fitted scikit-learn estimator in the skops format: a file that can be loaded without running code.

`skops.io` itself must not be imported in a user's training: it imports all of scikit-learn and more, which takes
seconds. So the part of its format that is only data is written here: estimators of scikit-learn whose attributes are
plain values, containers, arrays, dtypes, sparse matrices and further such estimators. Everything else raises
`Unwritable`. Files carry protocol 0 of the format; every version of skops reads the nodes of it that are used here.

Format: https://skops.readthedocs.io/en/stable/persistence.html, a zip with `schema.json` and one `.npy` or `.npz` file
per array.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from typing import Any

PROTOCOL = 0
_SCALARS = (str, int, float, bool, type(None))
_KEYS = (str, int, float)

# Types that `skops` does not trust by default, although they hold only data: a dtype, matrices read without pickle.
HARMLESS = (
    "numpy.dtype",
    *(f"scipy.sparse._{kind}.{kind}_{word}" for kind in ("csr", "csc") for word in ("matrix", "array")),
)


class Unwritable(Exception):  # noqa: N818 - it says what the object is, not what went wrong
    """The object has a part that the format, as written by this module, cannot hold; the message names the part."""


class TooLarge(Exception):  # noqa: N818 - a limit was reached, nothing went wrong
    """The time or size limit was exceeded; the message names which."""


def skops_bytes(estimator: Any, *, limit: int | None = None) -> bytes:
    """The estimator as a skops file.

    Raises `Unwritable` for what the format cannot hold safely, `TooLarge` when the file would grow beyond `limit`
    bytes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        schema = _Writer(archive, limit).node(estimator)
        schema.update(protocol=PROTOCOL, _skops_version="autotrack")
        archive.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema))
    return buffer.getvalue()


class _Writer:
    def __init__(self, archive: zipfile.ZipFile, limit: int | None) -> None:
        import numpy

        self._numpy = numpy
        self._archive = archive
        self._limit = limit
        self._size = 0
        self._ids: dict[int, tuple[int, Any]] = {}  # keeps the objects alive, so that no id is reused
        self._under_way: set[int] = set()
        self._exact: dict[type, Callable[[Any], dict[str, Any]]] = {
            list: self._sequence("ListNode"), tuple: self._sequence("TupleNode"), set: self._sequence("SetNode"),
            dict: self._dict, slice: self._slice, numpy.ndarray: self._array,
            numpy.random.RandomState: self._random_state,
        }  # fmt: skip

    def node(self, value: Any) -> dict[str, Any]:
        """The schema node of any value; `Unwritable` if the format cannot hold it."""
        kind = type(value)
        if kind in _SCALARS:
            return {**_named(str, "JsonNode"), "content": json.dumps(value), "is_json": True, "__id__": self._id(value)}
        if id(value) in self._under_way:
            raise Unwritable(f"a {kind.__name__} that contains itself")
        self._under_way.add(id(value))
        try:
            made = self._complex(value, kind)
        finally:
            self._under_way.discard(id(value))
        made["__id__"] = self._id(value)
        return made

    def _complex(self, value: Any, kind: type) -> dict[str, Any]:
        write = self._exact.get(kind)
        if write is not None:
            return write(value)
        if issubclass(kind, self._numpy.generic) and kind.__module__ == "numpy":
            return self._array(value)
        if isinstance(value, type):
            return self._type(value)
        if isinstance(value, self._numpy.dtype):
            empty = self._numpy.ndarray(0, dtype=value)
            return {**_named(self._numpy.dtype, "DTypeNode"), "content": self.node(empty)}
        if _is_sparse(value):
            return self._sparse(value)
        if _is_plain_estimator(value):
            return {**_named(kind, "ObjectNode"), "content": self.node(value.__getstate__())}
        raise Unwritable(f"a {kind.__module__}.{kind.__qualname__}")

    def _id(self, value: Any) -> int:
        return self._ids.setdefault(id(value), (len(self._ids) + 1, value))[0]

    def _sequence(self, loader: str) -> Callable[[Any], dict[str, Any]]:
        return lambda value: {**_named(type(value), loader), "content": [self.node(item) for item in value]}

    def _dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        content: dict[Any, Any] = {}
        for key, item in value.items():
            plain = key.item() if isinstance(key, self._numpy.generic) else key
            if type(plain) not in _KEYS:
                raise Unwritable(f"a dict with a key of type {type(key).__name__}")
            content[str(plain) if type(plain) is str else json.dumps(plain)] = self.node(item)
        if len(content) != len(value):
            raise Unwritable("a dict whose keys differ by type only")
        return {**_named(dict, "DictNode"), "content": content, "key_types": self.node([type(key) for key in value])}

    def _slice(self, value: slice) -> dict[str, Any]:
        parts = {"start": value.start, "stop": value.stop, "step": value.step}
        if not all(part is None or type(part) is int for part in parts.values()):
            raise Unwritable("a slice of something else than ints")
        return {**_named(slice, "SliceNode"), "content": parts}

    def _type(self, value: type) -> dict[str, Any]:
        if value in (str, int, float, bool, list, set, tuple) or (
            issubclass(value, self._numpy.generic) and value.__module__ == "numpy"
        ):
            return _named(value, "TypeNode")
        raise Unwritable(f"the class {value.__module__}.{value.__qualname__}")

    def _array(self, value: Any) -> dict[str, Any]:
        named = _named(type(value), "NdArrayNode")
        if value.dtype == object:
            if value.ndim != 1 or type(value) is not self._numpy.ndarray:
                raise Unwritable("an array of objects")
            items = value.tolist()
            return {**named, "type": "json", "content": [self.node(i) for i in items], "shape": self.node(value.shape)}
        if value.dtype.hasobject:
            raise Unwritable("a structured array with objects")
        self._spend(value.nbytes)
        buffer = io.BytesIO()
        self._numpy.save(buffer, value, allow_pickle=False)
        return {**named, "type": "numpy", "file": self._file(value, "npy", buffer)}

    def _sparse(self, value: Any) -> dict[str, Any]:
        if value.dtype.hasobject:
            raise Unwritable("a sparse matrix of objects")
        self._spend(sum(getattr(value, part).nbytes for part in ("data", "indices", "indptr")))
        buffer = io.BytesIO()
        sys.modules["scipy.sparse"].save_npz(buffer, value, compressed=False)
        return {**_named(type(value), "SparseMatrixNode"), "type": "scipy", "file": self._file(value, "npz", buffer)}

    def _random_state(self, value: Any) -> dict[str, Any]:
        return {**_named(type(value), "RandomStateNode"), "content": self.node(value.get_state(legacy=False))}

    def _file(self, value: Any, ending: str, buffer: io.BytesIO) -> str:
        name = f"{self._id(value)}.{ending}"
        if name not in self._archive.NameToInfo:
            self._archive.writestr(zipfile.ZipInfo(name), buffer.getbuffer())  # no time: equal models give equal bytes
        return name

    def _spend(self, size: int) -> None:
        self._size += size
        if self._limit is not None and self._size > self._limit:
            raise TooLarge(f"it has more than {self._limit:,} bytes")


def _named(kind: type, loader: str) -> dict[str, Any]:
    return {"__class__": kind.__name__, "__module__": kind.__module__, "__loader__": loader}


def _is_sparse(value: Any) -> bool:
    scipy_sparse = sys.modules.get("scipy.sparse")
    return (
        scipy_sparse is not None
        and type(value).__module__.startswith("scipy.sparse")
        and scipy_sparse.issparse(value)
        and value.format in ("csr", "csc")
    )


def _is_plain_estimator(value: Any) -> bool:
    """Whether `value` is an estimator of scikit-learn itself that is pickled by its attributes only."""
    base = sys.modules.get("sklearn.base")
    kind = type(value)
    return (
        base is not None
        and isinstance(value, base.BaseEstimator)
        and kind.__module__.startswith("sklearn.")
        and not kind.__name__.startswith("_")
        and getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__getstate__ is base.BaseEstimator.__getstate__
    )
