"""JSON that JavaScript reads without loss: no NaN, no int that loses digits, no text that could end the script."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from autotrack.query.groups import digits

_EXACT = 1 << 53  # ints beyond it are not exact in JavaScript
_LONGEST_TEXT = 2_000


def encode(data: Any) -> str:
    """JSON for a `<script type="application/json">`: ASCII, and without any `<`."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def plain(value: Any) -> Any:
    """A recorded value as JSON can hold it: NaN, infinities and huge ints as text, long texts cut at their end."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else _cut(digits(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else _name_of(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        text = json.dumps(value, default=str)
        return [plain(item) for item in value] if len(text) <= _LONGEST_TEXT else _cut(text)
    return _cut(str(value))


def point(value: float) -> float | str | None:
    """A value of a curve, rounded to seven digits, more than a screen shows; infinities as text, None for NaN."""
    if math.isnan(value):
        return None
    return float(f"{value:.7g}") if math.isfinite(value) else _name_of(value)


def _name_of(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text)} characters)"
