"""Curves as small inline drawings (SVG), for tables and cards; they need nothing but the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import escape

from autotrack.query.curves import Curve, Floats, with_gaps
from autotrack.query.downsampling import thin_out

LINES = ("#3b8eea", "#e8950c", "#2da44e", "#a371f7", "#e0554b")
_PAD = 3.0
_SCALE = 0.25  # so that no difference of two values overflows


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


SMALL, LARGE = Size(110, 24), Size(216, 64)


def sparkline(curves: Sequence[Curve], size: Size = SMALL, *, label: str = "") -> str:
    """The curves over their steps, in one frame that fits them all; empty if no finite point is there.

    A NaN or an infinity is a gap. One curve is underlaid with a soft tint of its colour; the end of each has a dot.
    """
    lines = [_thinned(curve) for curve in curves if len(curve.values)]
    finite = [y[np.isfinite(y)] for _, y in lines]
    if not any(map(len, finite)):
        return ""
    frame = _Frame.around(lines, np.concatenate(finite), size)
    drawn = "".join(
        frame.line(x, y, LINES[number % len(LINES)], filled=len(lines) == 1) for number, (x, y) in enumerate(lines)
    )
    name = f"<title>{escape(label)}</title>" if label else ""
    return (
        f'<svg width="{size.width}" height="{size.height}" viewBox="0 0 {size.width} {size.height}" role="img">'
        f"{name}{drawn}</svg>"
    )


def _thinned(curve: Curve) -> tuple[Floats, Floats]:
    kept = thin_out(curve.values, 240)
    return with_gaps(curve.steps[kept], curve.values[kept] * _SCALE)


@dataclass(frozen=True)
class _Frame:
    """The linear mapping of steps and values to pixels."""

    left: float
    bottom: float
    per_step: float
    per_value: float
    size: Size

    @classmethod
    def around(cls, lines: Sequence[tuple[Floats, Floats]], values: Floats, size: Size) -> _Frame:
        steps = np.concatenate([x for x, _ in lines])
        left, right, low, high = float(steps.min()), float(steps.max()), float(values.min()), float(values.max())
        if high / 2 - low / 2 < abs(high) * 1e-12:  # a flat curve is drawn in the middle
            low, high = low - 1.0, high + 1.0
        per_value = (size.height - 2 * _PAD) / max(high - low, 1e-300)
        return cls(left, low, (size.width - 2 * _PAD) / max(right - left, 1e-300), per_value, size)

    def line(self, x: Floats, y: Floats, color: str, *, filled: bool) -> str:
        across = _PAD + (x - self.left) * self.per_step
        down = self.size.height - _PAD - (y - self.bottom) * self.per_value
        there = np.isfinite(down) & np.isfinite(across)
        if not there.any():
            return ""
        pieces = np.split(np.arange(len(x)), np.flatnonzero(~there))
        paths = [[index for index in piece if there[index]] for piece in pieces]
        shape = [" ".join(f"{across[i]:.1f},{down[i]:.1f}" for i in path) for path in paths if path]
        floor = self.size.height
        fill = "".join(
            f'<path d="M{across[path[0]]:.1f},{floor}L{points}L{across[path[-1]]:.1f},{floor}Z" fill="{color}"'
            ' fill-opacity=".12" stroke="none"/>'
            for path, points in zip(filter(None, paths), shape, strict=True)
            if filled and len(path) > 1
        )
        strokes = "".join(f"M{points}" for points in shape)
        last = np.flatnonzero(there)[-1]
        return (
            f'{fill}<path d="{strokes}" fill="none" stroke="{color}" stroke-width="1.6" stroke-linejoin="round"/>'
            f'<circle cx="{across[last]:.1f}" cy="{down[last]:.1f}" r="2.3" fill="{color}"/>'
        )
