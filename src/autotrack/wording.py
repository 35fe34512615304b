"""Formatting values for display, the same everywhere: durations, ages, sizes, numbers, sparklines."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

_BARS = "▁▂▃▄▅▆▇█"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration(seconds: float | None) -> str:
    """`0.24` as "240 ms", `75` as "1 min 15 s", `7500` as "2 h 5 min"; "–" for None."""
    if seconds is None or math.isnan(seconds):
        return "–"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 else "< 1 ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for unit, name, lower, lower_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // lower
            return f"{whole // unit} {name} {rest} {lower_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def age(then: datetime.datetime | None, now: datetime.datetime) -> str:
    """How long ago `then` was: "just now", "3 min ago", "2 days ago"; a date beyond two weeks; "–" for None."""
    if then is None:
        return "–"
    seconds = (now - then).total_seconds()
    if seconds < 5:
        return "just now" if seconds > -5 else clock(then)
    if seconds < _MINUTE:
        return f"{seconds:.0f} s ago"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min ago"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h ago"
    days = int(seconds // _DAY)
    if days <= 14:
        return f"{days} day{'s' if days > 1 else ''} ago"
    return f"{then.astimezone():%Y-%m-%d}"


def clock(then: datetime.datetime | None) -> str:
    """The local date and time to the second, as "2026-03-01 12:00:05"; "–" for None."""
    return "–" if then is None else f"{then.astimezone():%Y-%m-%d %H:%M:%S}"


def size(count: float | None) -> str:
    """`1536` as "1.5 KB", in powers of 1024; "–" for None."""
    if count is None:
        return "–"
    number = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(number) < 1023.5 or unit == "TB":
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.1f} {unit}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1` and "run" as "1 run", `1200` as "1,200 runs"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def number(value: float | int | None) -> str:
    """A metric rounded for display: five significant digits; ints in full; "–" for None."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.5g}"


def plain(value: Any) -> str:
    """Any value on one line: newlines in strings become spaces, floats in full, lists and mappings as JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return " ".join(value.split("\n")) if "\n" in value else value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime.datetime):
        return clock(value)
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def sparkline(values: Iterable[float], width: int = 20) -> str:
    """The values of a metric as at most `width` bars; a gap where there are only NaN. Empty for a single point.

    Each bar is the mean of a segment of the values, scaled between the smallest and the largest bar.
    """
    points = list(values)
    if len(points) < 2:
        return ""
    means = [_mean(stretch) for stretch in _stretches(points, width)]
    known = [mean for mean in means if math.isfinite(mean)]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    return "".join(_bar(mean, low, span) for mean in means)


def _stretches(points: Sequence[float], width: int) -> list[Sequence[float]]:
    parts = min(len(points), width)
    edges = [index * len(points) // parts for index in range(parts + 1)]
    return [points[start:end] for start, end in pairwise(edges)]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _bar(mean: float, low: float, span: float) -> str:
    if math.isnan(mean):
        return " "
    if math.isinf(mean):
        return _BARS[-1] if mean > 0 else _BARS[0]
    level = (mean - low) / span if span > 0 and math.isfinite(span) else 0.5
    return _BARS[min(int(level * len(_BARS)), len(_BARS) - 1)]
