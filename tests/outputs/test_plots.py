"""Charts: what is drawn is what was logged, and nothing of matplotlib's global state is touched."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.exceptions import InvalidValueError, NotFoundError
from autotrack.outputs.plots.curves import plot_record, plot_runs
from autotrack.query.curves import Curve, curves_of, mean_and_spread, smoothed, with_gaps
from autotrack.query.queries import find_runs
from autotrack.query.records import Runs

PNG = b"\x89PNG"


def all_of(seed: Any) -> Runs:
    """The seeded runs, oldest first."""
    return find_runs(seed.store, order_by="run.started")


def lines(ax: Any) -> list[tuple[list[float], list[float]]]:
    """The data of the lines with at least two points."""
    found = [(list(line.get_xdata()), list(line.get_ydata())) for line in ax.get_lines()]
    return [line for line in found if len(line[0]) > 1]


def legend(ax: Any) -> list[str]:
    """The texts of the legend."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def drawn(figure: Any) -> bytes:
    """The figure as PNG: drawing finds what setting up does not."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(PNG)
    return buffer.getvalue()


def test_a_line_per_run_over_its_steps(seed: Any) -> None:
    """What was logged, under the names of the runs."""
    seed("a", metrics={"loss": [(0, 3.0), (10, 2.0), (20, 1.0)]})
    seed("_b $x$", metrics={"loss": [(0, 4.0), (5, 2.5)]})
    seed("without", metrics={"other": [1, 2]})
    figure = all_of(seed).plot("loss")
    (ax,) = figure.axes
    assert lines(ax) == [([0, 10, 20], [3, 2, 1]), ([0, 5], [4, 2.5])]
    assert [text.strip() for text in legend(ax)] == ["a", r"_b \$x\$"]
    assert ax.get_xlabel() == "step"
    assert drawn(figure)


def test_over_time_runs_begin_together(seed: Any) -> None:
    """Runs that started a minute apart both begin at 0 s."""
    seed("a", metrics={"loss": [3.0, 2.0, 1.0]})
    seed("b", metrics={"loss": [4.0, 2.5]})
    (ax,) = plot_runs(all_of(seed), "loss", x="time").axes
    assert [x for x, _ in lines(ax)] == [[0, 1, 2], [0, 1]]
    assert ax.get_xlabel() == "seconds since the run's start"


def test_hours_are_counted_in_hours(seed: Any) -> None:
    """A long run has round hours at its axis."""
    seed(metrics={"loss": [(step, 1.0 / (step + 1)) for step in range(5 * 3600)]})
    (ax,) = plot_runs(all_of(seed), "loss", x="time").axes
    assert ax.get_xlabel() == "hours since the run's start"
    assert [label.get_text() for label in ax.get_xticklabels()][:3] == ["0", "1", "2"]


def test_groups_are_drawn_as_mean_and_spread(seed: Any) -> None:
    """One line per value of the param, its mean, in a band of one standard deviation; the legend counts the runs."""
    for lr, values in [(0.1, [3.0, 2.0]), (0.1, [5.0, 4.0]), (0.2, [1.0, 1.5])]:
        seed(params={"lr": lr}, metrics={"loss": values})
    figure = all_of(seed).plot("loss", group_by="lr")
    (ax,) = figure.axes
    assert lines(ax) == [([0, 1], [4, 3]), ([0, 1], [1, 1.5])]
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices
    spread = np.std([3, 5], ddof=1)
    assert edges[:, 1].max() == pytest.approx(4 + spread)
    assert edges[:, 1].min() == pytest.approx(3 - spread)
    assert legend(ax) == ["0.1  (n=2)", "0.2  (n=1)"]
    assert drawn(figure)


def test_nan_and_infinities_are_gaps_that_are_counted(seed: Any) -> None:
    """The line breaks, a point between two gaps is a dot, and the chart says how many there are."""
    seed("a", metrics={"loss": [1.0, math.nan, 0.5, math.inf, 0.2, 0.1]})
    figure = all_of(seed).plot("loss")
    (ax,) = figure.axes
    ((_, values), *_rest) = lines(ax)
    assert [math.isfinite(value) for value in values] == [True, False, True, False, True, True]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert dots[0].get_xdata().tolist() == [0, 2]
    assert ax.get_title(loc="right") == "2 points are NaN or infinite"
    assert drawn(figure)


def test_a_resumed_run_is_not_drawn_backwards(seed: Any) -> None:
    """Where the steps go back there is a gap, and every point is there."""
    seed("a", metrics={"loss": [(0, 4.0), (10, 3.0), (20, 2.0), (10, 2.5), (20, 1.0)]})
    (ax,) = all_of(seed).plot("loss").axes
    ((x, y), *_) = lines(ax)
    assert x == [0, 10, 20, 10, 10, 20]
    assert str(y[3]) == "nan"
    assert y[4:] == [2.5, 1.0]


def test_of_a_hundred_runs_the_best_are_named(seed: Any) -> None:
    """The legend stays short: the best eight by their last loss, and how many others there are."""
    for place in range(100):
        seed(f"run {place}", metrics={"loss": [100.0, float((place * 37) % 100)]})
    figure = all_of(seed).plot("loss")
    (ax,) = figure.axes
    best = [next(place for place in range(100) if (place * 37) % 100 == rank) for rank in range(8)]
    assert legend(ax) == [*(f"run {place}" for place in best), "92 others"]
    assert len([line for line in lines(ax) if line[1][0] == 100.0]) == 100
    assert drawn(figure)


def test_a_hundred_groups_have_a_legend_of_twenty_rows(seed: Any) -> None:
    """The rest is counted."""
    for place in range(100):
        seed(params={"x": place}, metrics={"loss": [1.0, 2.0]})
    figure = all_of(seed).plot("loss", group_by="params.x")
    texts = legend(figure.axes[0])
    assert len(texts) == 20
    assert texts[-1] == "… and 81 more"
    assert drawn(figure)


def test_losses_over_many_decades_have_a_logarithmic_scale(seed: Any) -> None:
    """All positive and over two decades; an accuracy or a loss that touches zero has a linear one."""
    seed(metrics={"loss": [10.0**-k for k in range(8)], "accuracy": [0.5, 0.9], "zero": [100.0, 1.0, 0.01, 0.0]})
    scales = [all_of(seed).plot(metric).axes[0].get_yscale() for metric in ("loss", "accuracy", "zero")]
    assert scales == ["log", "linear", "linear"]


def test_one_value_per_run_is_a_dot(seed: Any) -> None:
    """By its name, the best on top; by a numeric param as a curve of means; by a text in columns."""
    for name, lr, kind, value in [
        ("a", 0.001, "x", 0.5),
        ("b", 0.1, "y", 0.9),
        ("c", 0.1, "y", 0.7),
        ("d", 1, "x", 0.2),
    ]:
        seed(name, params={"lr": lr, "kind": kind}, metrics={"accuracy": value})
    runs = all_of(seed)
    figure = runs.plot("accuracy")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["d", "a", "c", "b"]
    by_number = runs.plot("accuracy", group_by="lr")
    means = lines(by_number.axes[0])[-1]
    assert means[0] == [0.001, 0.1, 1]
    assert means[1] == pytest.approx([0.5, 0.8, 0.2])
    assert by_number.axes[0].get_xscale() == "log"
    by_text = runs.plot("accuracy", group_by="kind")
    assert [label.get_text() for label in by_text.axes[0].get_xticklabels()] == ["x\nn=2", "y\nn=2"]
    assert all(drawn(chart) for chart in (figure, by_number, by_text))


def test_a_record_draws_its_metrics_in_small_charts(seed: Any) -> None:
    """Train and val share a chart, single values are listed, the machine's metrics stay out unless asked for."""
    metrics = {"train/loss": [3, 2, 1], "val/loss": [4, 3], "lr": [0.1, 0.2], "test/f1": 0.5, "system/cpu": [1, 2]}
    seed("one", metrics=metrics)
    (record,) = all_of(seed)
    figure = record.plot()
    assert sorted(ax.get_title(loc="left") for ax in figure.axes) == ["", "loss", "lr"]
    (loss,) = [ax for ax in figure.axes if ax.get_title(loc="left") == "loss"]
    assert legend(loss) == ["train/loss", "val/loss"]
    (values,) = [ax for ax in figure.axes if not ax.get_title(loc="left")]
    assert [text.get_text() for text in values.texts] == ["test/f1", "0.5"]
    assert drawn(figure)
    assert [ax.get_title(loc="left") for ax in plot_record(record, ["system/cpu"]).axes] == ["system/cpu"]


def test_what_cannot_be_drawn_is_a_clear_error(seed: Any) -> None:
    """No such metric, no metric at all, no such axis, a weight that is none."""
    seed("bare")
    with pytest.raises(NotFoundError, match="bare' has no metrics"):
        all_of(seed)[0].plot()
    seed("a", metrics={"loss": [1, 2]})
    runs = all_of(seed)
    with pytest.raises(NotFoundError, match="loss"):
        runs.plot("los")
    with pytest.raises(InvalidValueError, match="'step' or 'time'"):
        runs.plot("loss", x="epoch")
    with pytest.raises(ValueError, match="below 1"):
        runs.plot("loss", smooth=1.0)


def test_it_draws_on_axes_of_the_users_own(seed: Any) -> None:
    """The figure that comes back is theirs."""
    from matplotlib.figure import Figure

    seed("a", metrics={"loss": [1, 2]})
    mine = Figure()
    ax = mine.add_subplot()
    assert all_of(seed).plot("loss", ax=ax) is mine
    assert lines(ax) == [([0, 1], [1, 2])]


def test_smoothing_is_an_average_without_the_bias_of_its_start() -> None:
    """A constant stays itself, gaps stay gaps and do not count, the raw values are untouched."""
    values = np.array([2.0, 2.0, math.nan, 2.0])
    assert str(smoothed(values, 0.9).round(12).tolist()) == "[2.0, 2.0, nan, 2.0]"
    assert smoothed(np.array([1.0, 3.0]), 0.5).tolist() == pytest.approx([1.0, (0.25 * 1 + 0.5 * 3) / 0.75])
    assert smoothed(values, 0.0)[:2].tolist() == [2.0, 2.0]
    assert smoothed(np.array([]), 0.5).tolist() == []
    noise = np.random.default_rng(0).normal(size=1000)
    noise[::7] = np.nan
    for weight in (0.0, 0.5, 0.99, 0.999999):
        assert smoothed(noise, weight).tolist() == pytest.approx(_one_by_one(noise, weight), nan_ok=True, abs=1e-9)


def _one_by_one(values: Any, weight: float) -> list[float]:
    """The definition: each finite value in turn enters the average, which is divided by the weights so far."""
    total = share = 0.0
    result = []
    for value in values.tolist():
        if not math.isnan(value):
            total, share = weight * total + (1 - weight) * value, weight * share + (1 - weight)
        result.append(value if math.isnan(value) else total / share)
    return result


def test_runs_with_other_steps_are_averaged_where_they_have_data() -> None:
    """Between its own points a run is read by interpolation, beyond its ends and across a gap it does not count."""

    def curve(steps: list[float], values: list[float]) -> Curve:
        return Curve(0, np.array(steps), np.array(steps), np.array(values))

    x, mean, spread = mean_and_spread([curve([0, 2], [0, 2]), curve([1, 2, 4], [3, 4, 8])], "step")
    assert x.tolist() == [0, 1, 2, 4]
    assert mean.tolist() == [0, 2, 3, 8]
    assert spread.tolist() == pytest.approx([0, math.sqrt(2), math.sqrt(2), 0])
    x, mean, _ = mean_and_spread([curve([0, 1, 2], [1, math.nan, 3]), curve([0, 2], [1, 3])], "step")
    assert mean.tolist() == [1, 2, 3]
    assert [*map(len, with_gaps(np.array([0.0, 1, 0]), np.array([1.0, 2, 3])))] == [4, 4]


def test_curves_are_what_was_logged_in_the_order_of_the_runs() -> None:
    """From the public API: steps, seconds since the start, values."""
    for name in ("first", "second"):
        with autotrack.start_run(name) as run:
            for step in range(3):
                run.log({"loss": step / 2}, step=step * 10)
    runs = autotrack.runs(order_by="run.started")
    curves = curves_of(runs, ["loss"])["loss"]
    assert [curve.run for curve in curves] == [0, 1]
    assert curves[1].steps.tolist() == [0, 10, 20]
    assert curves[1].values.tolist() == [0, 0.5, 1]
    assert all(0 <= seconds <= runs[1].duration for seconds in curves[1].times)


def test_neither_pyplot_nor_a_backend_is_touched(script: Any, tmp_path: Path) -> None:
    """In a fresh process without a display the figure is a PNG to a notebook, and pyplot was never imported."""
    done = script(
        """
        import sys, autotrack
        with autotrack.start_run("a") as run:
            run.log({"loss": 2.0}, step=0)
            run.log({"loss": 1.0}, step=1)
        figure = autotrack.runs().plot("loss")
        assert figure._repr_png_().startswith(b"\\x89PNG")
        figure.savefig("chart.svg")
        assert "matplotlib.pyplot" not in sys.modules
        import matplotlib
        assert matplotlib.rcParams == matplotlib.rcParamsOrig
        """,
        DISPLAY="",
    )
    assert done.stdout == ""
    assert (tmp_path / "chart.svg").read_text().startswith("<?xml")


def test_without_matplotlib_the_extra_is_named(script: Any) -> None:
    """A process that cannot import it hears what to install."""
    done = script(
        """
        import sys, autotrack
        sys.modules["matplotlib"] = None
        with autotrack.start_run("a") as run:
            run.log({"loss": 2.0})
        autotrack.runs().plot("loss")
        """,
        check=False,
    )
    assert done.returncode == 1
    assert "MissingDependencyError: drawing charts needs matplotlib: pip install 'autotrack-ml[plot]'" in done.stderr
