"""Logging metrics: rows of numbers at a step are packed into the journal; figures, tables and texts become media."""

from __future__ import annotations

import datetime
import struct
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotrack.events import Frame
from autotrack.exceptions import InvalidValueError
from autotrack.journal.writer import RowPacker
from autotrack.recording.collector import Collector, is_paused
from autotrack.recording.gpu_rows import on_gpu
from autotrack.recording.recorder import Recorder
from autotrack.values import as_number, checked_key

if TYPE_CHECKING:
    from autotrack.recording.media import AsMedia

_now = time.time
_letters = {float: "d", int: "q", bool: "q"}


class _Series:
    """Metrics that are logged together with the same keys and types: their packer and their common step counter."""

    __slots__ = ("counter", "keys", "latest", "packer")

    def __init__(self, packer: RowPacker, counter: list[int], keys: tuple[str, ...]) -> None:
        self.packer = packer
        self.counter = counter
        self.keys = keys
        self.latest: Any = ()


class MetricRecorder(Recorder):
    """A `Recorder` that also records metrics, with a fast path for known keys and types."""

    def __init__(self, owner: Collector, run_id: str, training: int = 0) -> None:
        super().__init__(owner, run_id, training)
        self._series: dict[tuple[Any, ...], _Series] = {}
        self._append_row: Any = None
        owner.watch_handle(self)

    def log(
        self, values: Mapping[str, Any], step: int | None = None, *, time: float | datetime.datetime | None = None
    ) -> None:
        """Record one row of metrics at `step`, by default the step after the last one of these metrics.

        Values are numbers (Python, NumPy, JAX, 0-d tensors), stored as float64 or int64 with NaN and ±Inf unchanged.
        Figures, images, tables and texts become media at the step. The keys of nested mappings are joined with a
        slash. `time` is the time of the measurement, in seconds since the epoch or as an aware datetime; by default
        now.
        """
        try:
            series = self._series[(*values, *map(type, values.values()))]  # the fast path: known names and types
            if time is not None or is_paused():
                raise KeyError
            counter = series.counter
            if step is None:
                step = counter[0] + 1
            self._append_row(series.packer, step, _now(), values.values())
            if step > counter[0]:  # noqa: PLR1730 - measured: a call of max() costs more than the rest of the line
                counter[0] = step
            series.latest = values
        except (KeyError, TypeError, AttributeError, struct.error):
            self._log_anything(values, step, time)

    def log_metric(self, key: str, value: Any, step: int | None = None) -> None:
        """Record one metric."""
        self.log({key: value}, step)

    def log_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Record one row of metrics; the same as `log`."""
        self.log(values, step)

    def forget_packers(self) -> None:
        """Drop the packers, which belong to a journal that is no longer written."""
        self._series = {}
        self._append_row = None

    def disown(self) -> None:
        """In a forked child: drop the packers of the parent's journal; facts recorded here go to the child's own."""
        self.forget_packers()

    def _log_anything(self, values: Any, step: Any, moment: Any) -> None:
        if is_paused():
            return
        when = _now() if moment is None else moment.timestamp() if hasattr(moment, "timestamp") else float(moment)
        step = _checked_step(step)
        if "torch" in sys.modules and isinstance(values, Mapping) and any(map(on_gpu, values.values())):
            self.collector.deferred.add(self, values, step, when)
            return
        numbers, others = _sorted_out(values)
        if numbers:
            series = self._series_for(values, numbers)
            if series is not None:
                if step is None:
                    step = series.counter[0] + 1
                self._append_row(series.packer, step, when, tuple(numbers.values()))
                series.counter[0] = max(series.counter[0], step)
                series.latest = numbers
        for key, media in others.items():
            self._record_media(key, media, step)

    def _series_for(self, values: Mapping[str, Any], numbers: Mapping[str, float | int]) -> _Series | None:
        shape = (*numbers, *map(type, numbers.values()))
        series = self._series.get(shape)
        if series is None:
            keys = tuple(numbers)
            types = "".join(_letters[type(value)] for value in numbers.values())
            packer = self.collector.packer(Frame(run=self.id, keys=keys, types=types, training=self.number))
            journal = self.collector.journal
            if packer is None or journal is None:
                return None
            self._append_row = journal.append_row
            series = self._series[shape] = _Series(packer, self._shared_counter(keys), keys)
        given = (*values, *map(type, values.values()))
        if len(values) == len(numbers) and all(_packs_as_it_is(value) for value in values.values()):
            self._series[given] = series
        return series

    def _shared_counter(self, keys: tuple[str, ...]) -> list[int]:
        related = [series for series in self._series.values() if not set(keys).isdisjoint(series.keys)]
        counter = [max((series.counter[0] for series in related), default=-1)]
        for series in related:
            series.counter = counter
        return counter

    def latest_metrics(self) -> dict[str, float | int]:
        """The last value of each metric that was logged through this object."""
        found: dict[str, float | int] = {}
        for series in tuple(self._series.values()):
            if series.latest:
                found.update(zip(series.keys, series.latest.values(), strict=False))
        return found


def _packs_as_it_is(value: Any) -> bool:
    kind = type(value)
    return kind in _letters or (kind.__module__ == "numpy" and kind.__name__.startswith(("float", "int")))


def _checked_step(step: Any) -> int | None:
    if step is None or type(step) is int:
        return step
    try:
        whole = int(step)
        if whole == step:
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidValueError(f"step {step!r} is not a whole number; log it as a metric of its own beside an int step")


def _sorted_out(values: Any, prefix: str = "") -> tuple[dict[str, float | int], dict[str, AsMedia]]:
    if not isinstance(values, Mapping):
        raise InvalidValueError(f"metrics are a mapping of names to values, not a {type(values).__name__}")
    numbers: dict[str, float | int] = {}
    others: dict[str, AsMedia] = {}
    for name, value in values.items():
        key = prefix + checked_key(name)
        if isinstance(value, Mapping):
            inner_numbers, inner_others = _sorted_out(value, key + "/")
            numbers.update(inner_numbers)
            others.update(inner_others)
            continue
        number = None if isinstance(value, (str, bytes)) else as_number(key, value)
        if number is not None:
            numbers[key] = number
            continue
        from autotrack.recording.media import as_media

        media = as_media(key, value)
        if media is None:
            raise InvalidValueError(
                f"metric {key!r}: a {type(value).__name__} is neither a number nor a figure, image, table or text"
            )
        others[key] = media
    return numbers, others
