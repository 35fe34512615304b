"""Pickles models: possible for nearly every object, but loading a pickle runs code."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from typing import Any

from autotrack.exceptions import InvalidValueError
from autotrack.models.skops_file import TooLarge

PROTOCOL = 5
# What the methods of models and of their parts raise that cannot be pickled.
_REFUSALS = (
    pickle.PicklingError, AttributeError, TypeError, ValueError, RuntimeError, LookupError, ArithmeticError, OSError,
    ImportError,
)  # fmt: skip


def pickle_bytes(model: Any, *, limit: int | None = None) -> tuple[bytes, str]:
    """The model as bytes that `pickle.loads` reads, and the format: "pickle" or "cloudpickle".

    cloudpickle is used for objects whose classes or functions are defined in `__main__`, if it is installed. Raises
    `TooLarge` beyond `limit` bytes, and `InvalidValueError` with the reason if the model cannot be pickled.
    """
    by_value = _cloudpickle()
    try:
        data = _dumped(pickle.Pickler, model, limit)
        if by_value is None or b"__main__" not in data:
            return data, "pickle"
    except InvalidValueError:
        if by_value is None:
            raise
    return _dumped(by_value.CloudPickler, model, limit), "cloudpickle"


def _dumped(pickler: Callable[..., Any], model: Any, limit: int | None) -> bytes:
    file = _Bounded(limit)
    try:
        pickler(file, PROTOCOL).dump(model)
    except _REFUSALS as error:
        reason = f"{type(error).__name__}: {error}"
        raise InvalidValueError(f"a {type(model).__qualname__} cannot be pickled ({reason})") from error
    return file.getvalue()


class _Bounded(io.BytesIO):
    """A buffer in memory that raises `TooLarge` past a size limit."""

    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:
        written = super().write(data)
        if self._limit is not None and self.tell() > self._limit:
            raise TooLarge(f"it has more than {self._limit:,} bytes")
        return written


def _cloudpickle() -> Any:
    """The installed cloudpickle, else the copy inside joblib; None without either."""
    if "cloudpickle" not in sys.modules and "joblib" in sys.modules:
        from joblib.externals import cloudpickle as bundled

        return bundled
    try:
        import cloudpickle
    except ImportError:
        return None
    return cloudpickle
