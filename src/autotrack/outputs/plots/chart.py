"""The common style of charts. Needs matplotlib; does not change its global state, backend or pyplot's figures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotrack.exceptions import MissingDependencyError
from autotrack.query.curves import Floats

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    raise MissingDependencyError("matplotlib", "plot", "drawing charts") from error

PALETTE = (
    "#4269d0", "#e8950c", "#e0554b", "#2aa198", "#3ca951", "#d55c9a", "#8f56e0", "#5aa2e8", "#9c6b4e", "#7c8494",
)  # fmt: skip
RAMP = LinearSegmentedColormap.from_list(
    "autotrack", ["#5b3fb5", "#3f74d1", "#22a3a0", "#6fb53c", "#eda21a", "#df4f3a"]
)
INK, SOFT, LINE, OTHERS = "#1b2130", "#5c667a", "#e4e7ee", "#c3c9d6"
LEGEND_ROWS = 20


class Chart(Figure):
    """A figure that a notebook shows by itself, whether or not pyplot was ever imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=max(self.dpi, 110))
        return buffer.getvalue()


def new_chart(width: float, height: float) -> Chart:
    """Return an empty chart of `width` by `height` inches, with a layout that avoids overlaps."""
    chart = Chart(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(chart)
    return chart


def tidy(ax: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Set title and labels of the axes and apply the common style: two spines, a light grid."""
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    ax.set_xlabel(x, color=SOFT, fontsize=9)
    ax.set_ylabel(y, color=SOFT, fontsize=9)
    ax.tick_params(colors=SOFT, labelsize=9, length=3)
    ax.tick_params(which="minor", length=2)
    ax.grid(axis="y", color=LINE, linewidth=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(OTHERS)


def add_legend(ax: Axes, title: str = "") -> None:
    """Add a legend inside the axes if it is short, else beside them; it has at most `LEGEND_ROWS` rows."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    rest = len(handles) - LEGEND_ROWS
    if rest > 0:
        handles, labels = handles[: LEGEND_ROWS - 1], labels[: LEGEND_ROWS - 1]
        handles.append(ax.plot([], [], alpha=0)[0])
        labels.append(f"… and {rest + 1} more")
    short = len(handles) <= 5 and max(map(len, labels)) <= 28
    place: dict[str, Any] = {"loc": "best"} if short else {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
    legend = ax.legend(
        handles, labels, title=title or None, fontsize=8.5, labelcolor=INK,
        frameon=short, framealpha=0.85, edgecolor=LINE, borderaxespad=0.6 if short else 0.0, **place,
    )  # fmt: skip
    legend.set_alignment("left")
    legend.get_title().set(fontsize=8.5, color=SOFT)


def wants_log(values: Floats) -> bool:
    """Whether a logarithmic scale suits the values: all are positive, and most of them span two decades."""
    values = values[np.isfinite(values)]
    if len(values) < 2 or values.min() <= 0:
        return False
    low, high = np.quantile(values, [0.02, 0.98])
    return bool(high / low >= 100)


def colors_for(labels: Sequence[Any]) -> list[Any]:
    """A colour per label: along a ramp where they are several numbers or very many, else distinct ones."""
    numeric = [isinstance(label, int | float) and not isinstance(label, bool) for label in labels]
    if len(labels) > len(PALETTE) or (len(labels) > 2 and all(numeric)):
        return [RAMP(index / (len(labels) - 1)) for index in range(len(labels))]
    return [PALETTE[index % len(PALETTE)] for index in range(len(labels))]


def time_unit(longest: float) -> tuple[float, str]:
    """The unit that suits times up to `longest` seconds: its length in seconds and its name."""
    units = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))
    return next(((size, name) for size, name in units if longest >= 2 * size), (1.0, "seconds"))


def count_in(ax: Axes, unit: float) -> None:
    """Put the ticks of the horizontal axis at round multiples of `unit` (in seconds), and label them in that unit."""
    low, high = ax.get_xlim()
    ticks = MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]).tick_values(max(low, 0.0) / unit, high / unit)
    ticks = [tick for tick in ticks if low <= tick * unit <= high]
    ax.set_xticks([tick * unit for tick in ticks], [f"{tick:g}" for tick in ticks])


def plain(text: str, longest: int = 48) -> str:
    """Cut and escape a label: matplotlib reads formulas between dollars, and hides labels that begin with `_`."""
    text = text if len(text) <= longest else f"{text[: longest - 12]}…{text[-11:]}"
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
