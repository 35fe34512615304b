"""What notebooks show of a run, of several, and of what differs: complete, well-formed, escaped, light."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import autotrack
from autotrack.outputs.html.sparkline import LARGE, LINES, sparkline
from autotrack.query.curves import Curve
from autotrack.query.diff import diff
from autotrack.query.queries import find_runs, get_record

EVIL = '<script>alert("1")</script>'


def parsed(html: str) -> ElementTree.Element:
    """The page as a tree: fails if anything is not closed or not escaped."""
    return ElementTree.fromstring(html.replace("<br>", "<br/>").replace("&nbsp;", " "))


def texts(html: str) -> list[str]:
    """What a reader sees, piece by piece, without the style."""
    tree = parsed(html)
    for style in tree.findall("style"):
        tree.remove(style)
    return [text.strip() for text in tree.itertext() if text.strip()]


def curve(values: list[float], steps: list[float] | None = None) -> Curve:
    array = np.array(values)
    return Curve(0, np.arange(len(array), dtype=float) if steps is None else np.array(steps), array, array)


def test_a_record_shows_what_it_is_about(seed: Any) -> None:
    """Name, status, failure, curves of train and validation in one drawing, single values, params, tags, report."""
    seed(
        "digits-1", params={"lr": 0.1, "layers": [64, 64]}, tags={"team": "vision"},
        metrics={"train/loss": [1.0, 0.5, 0.25], "val/loss": [1.1, 0.7, 0.5], "test/accuracy": 0.91},
        status="failed", failure_type="ValueError", failure_message="too hot", traceback="Traceback: line 1",
    )  # fmt: skip
    html = get_record(seed.store, "last")._repr_html_()
    seen = texts(html)
    for text in ("digits-1", "failed", "ValueError: too hot", "lr", "0.1", "[64, 64]", "team vision", "0.91"):
        assert text in seen, text
    (drawing,) = parsed(html).iter("svg")
    assert [line.get("stroke") for line in drawing.iter("path")] == list(LINES[:2])
    assert {"loss", "train", "val", "0.25", "0.5"} <= set(seen)


def test_defaults_are_folded(seed: Any) -> None:
    """What nobody chose is there, behind a click."""
    seed("a", params={"lr": 0.1})
    seed("b", params={"tol": 0.001}, origin="default")
    folded = [texts("<p>" + ElementTree.tostring(part, encoding="unicode") + "</p>") for part in
              parsed(get_record(seed.store, "b")._repr_html_()).iter("details")]  # fmt: skip
    assert ["1 params at their defaults", "tol", "0.001"] in folded
    assert "1 params at their defaults" not in texts(get_record(seed.store, "a")._repr_html_())


def test_runs_show_what_differs_and_which_is_best(seed: Any) -> None:
    """Params that are the same everywhere take no column; of a loss the least is bold, of an accuracy the most."""
    for lr, loss, accuracy in [(0.1, 0.5, 0.8), (0.2, 0.4, 0.7), (0.3, 0.6, 0.9)]:
        seed(f"lr{lr}", params={"lr": lr, "batch": 64}, metrics={"loss": loss, "accuracy": accuracy, "depth": lr})
    html = find_runs(seed.store)._repr_html_()
    heads = [th.text for th in parsed(html).iter("th")]
    assert "lr" in heads
    assert "batch" not in heads
    assert [span.text for span in parsed(html).iter("span") if span.get("class") == "at-best"] == ["0.9", "0.4"]
    assert texts(html)[0] == "3 runs of digits"


def test_runs_show_a_curve_each(seed: Any) -> None:
    """The first metric that has a history is drawn per run; a run without it has an empty cell."""
    for name in ("a", "b"):
        seed(name, metrics={"val/loss": [3.0, 2.0, 1.0, 1.5], "train/loss": [3.0, 1.0]})
    seed("c", metrics={"val/loss": 2.0})
    seed("d")
    html = find_runs(seed.store, order_by="run.started")._repr_html_()
    assert "val/loss over steps" in texts(html)
    per_run = [len(list(row.iter("svg"))) for row in parsed(html).iter("tr")]
    assert per_run == [0, 1, 1, 1, 0]


def test_a_difference_tells_by_how_much(seed: Any) -> None:
    """Per section what differs, the change in percent, and green or red where the better one is known."""
    seed("first", params={"lr": 0.1}, metrics={"loss": 0.5, "accuracy": 0.8})
    seed("second", params={"lr": 0.2}, metrics={"loss": 0.4, "accuracy": 0.7})
    html = diff(get_record(seed.store, "first"), get_record(seed.store, "second"))._repr_html_()
    told = {span.text: span.get("class") for span in parsed(html).iter("span") if (span.text or "").endswith("%")}
    assert told == {"+100.0%": "at-soft", "-20.0%": "at-plus", "-12.5%": "at-minus"}
    assert {"params", "metrics", "first", "second"} <= set(texts(html))


@pytest.mark.parametrize("show", ["record", "runs", "diff", "open run"])
def test_what_was_recorded_never_becomes_markup(seed: Any, show: str) -> None:
    """Names, params, metrics, tags, failures, notes: all text."""
    facts: dict[str, Any] = {
        "params": {EVIL: EVIL}, "metrics": {EVIL: [0.5, 0.25]}, "tags": {EVIL: EVIL}, "experiment": EVIL,
        "status": "failed", "failure_type": EVIL, "failure_message": EVIL, "traceback": EVIL, "user": EVIL,
    }  # fmt: skip
    seed(EVIL, **facts)
    seed("other", params={EVIL: 2})
    one, other = get_record(seed.store, "last~1"), get_record(seed.store, "last")
    if show == "open run":
        with autotrack.start_run(EVIL, experiment=EVIL) as run:
            run.log({EVIL: 1.0})
            html = run._repr_html_()
    else:
        html = {"record": one, "runs": find_runs(seed.store), "diff": diff(one, other)}[show]._repr_html_()
    assert EVIL not in html
    assert EVIL in "".join(texts(html))
    assert not list(parsed(html).iter("script"))


def test_they_are_light(seed: Any) -> None:
    """However much was logged: a long history, a thousand params and many runs stay below 200 kB."""
    values = list(np.random.default_rng(0).normal(size=20_000))
    for number in range(60):
        seed(metrics={"val/loss": values if number == 59 else [1.0, 2.0]}, params={f"p{i}": i for i in range(20)})
    seed("wide", params={f"p{i}": i for i in range(1000)}, metrics={f"m{i}": float(i) for i in range(300)})
    assert len(find_runs(seed.store)._repr_html_()) < 200_000
    assert len(find_runs(seed.store)[1]._repr_html_()) < 50_000
    wide = texts(get_record(seed.store, "wide")._repr_html_())
    assert "… and 940 more params" in wide


def test_gaps_and_odd_values_are_drawn_as_such() -> None:
    """NaN and infinities are gaps, a single point is a dot, equal values a line in the middle, huge ones no error."""
    (line,) = [p for p in parsed(sparkline([curve([1.0, 2.0, float("nan"), 3.0, float("inf"), 1.0])])).iter("path")
               if p.get("fill") == "none"]  # fmt: skip
    assert line.get("d", "").count("M") == 3
    assert len(list(parsed(sparkline([curve([1.0])])).iter("circle"))) == 1
    (dot,) = parsed(sparkline([curve([7.0, 7.0, 7.0])], LARGE)).iter("circle")
    assert float(dot.get("cy", "")) == LARGE.height / 2
    assert "nan" not in sparkline([curve([-1.7e308, 1.7e308, 0.0])])
    assert sparkline([curve([float("nan")])]) == ""


def test_a_resumed_curve_goes_back_without_a_stroke() -> None:
    """Where steps go back the line starts anew."""
    drawn = parsed(sparkline([curve([3.0, 2.0, 1.0, 2.0, 1.0], [0, 1, 2, 1, 2])]))
    assert [p.get("d", "").count("M") for p in drawn.iter("path") if p.get("fill") == "none"] == [2]


def test_an_open_run_shows_itself_without_a_reader() -> None:
    """Its card tells name, status and latest values; nothing is read back for it."""
    with autotrack.start_run("open", experiment="digits") as run:
        run.log({"loss": 0.5})
        run.log({"loss": 0.25})
        seen = texts(run._repr_html_())
    assert [text in seen for text in ("open", "running", "digits", "loss", "0.25")] == [True] * 5
