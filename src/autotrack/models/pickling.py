"""Pickles models: possible for nearly every object, but loading a pickle runs code."""

from __future__ import annotations

import io
import pickle
import sys
import time
from typing import Any

from autotrack.models.skops_file import OverBudget

PROTOCOL = 5


def pickle_bytes(model: Any, *, limit: int | None = None, deadline: float | None = None) -> tuple[bytes, str]:
    """The model as bytes that `pickle.loads` reads, and the format: "pickle" or "cloudpickle".

    cloudpickle is used for objects whose classes or functions are defined in `__main__`, if it is installed. Raises
    `OverBudget` beyond `limit` bytes or once the thread's CPU time (`time.thread_time()`) passes `deadline`,
    and whatever pickling the model raises.
    """
    file = _Bounded(limit, deadline)
    by_value = _cloudpickle()
    try:
        pickle.Pickler(file, PROTOCOL).dump(model)
    except (pickle.PicklingError, AttributeError, TypeError):
        if by_value is None:
            raise
    else:
        data = file.getvalue()
        if by_value is None or b"__main__" not in data:
            return data, "pickle"
    file = _Bounded(limit, deadline)
    by_value.CloudPickler(file, PROTOCOL).dump(model)
    return file.getvalue(), "cloudpickle"


class _Bounded(io.BytesIO):
    """A buffer in memory that raises `OverBudget` past a size limit or a deadline."""

    def __init__(self, limit: int | None, deadline: float | None) -> None:
        super().__init__()
        self._limit = limit
        self._deadline = deadline

    def write(self, data: Any) -> int:
        written = super().write(data)
        if self._limit is not None and self.tell() > self._limit:
            raise OverBudget(f"it has more than {self._limit:,} bytes")
        if self._deadline is not None and time.thread_time() > self._deadline:
            raise OverBudget("saving it took too long")
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
