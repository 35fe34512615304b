"""The page about many runs: complete, self-contained, and alive in a real browser."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.outputs.report import write_report
from autotrack.query.downsampling import thin_out
from autotrack.query.queries import find_runs
from autotrack.query.records import Runs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--enable-logging=stderr", "--window-size=1300,2400",
)  # fmt: skip
EVIL = "</script><script>document.title='broken'</script>"
NAMES = r'class="name text"[^>]*>(mlp-\d)'
Browse = Callable[..., str]


def all_of(seed: Any) -> Runs:
    """The seeded runs, newest first, as lists show them."""
    return find_runs(seed.store)


def data_of(page: Path) -> Any:
    """The data in the page, read as strictly as a browser does."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"))

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Open a page in headless Chromium, do something there, and return the document as it is then."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")

    def run(page: Path, action: str = "") -> str:
        acting = tmp_path / "acting.html"
        script = f"<script>addEventListener('load', () => {{ {action} }});</script></body>"
        acting.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
        profile = tmp_path / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", f"file://{acting}"]
        done = subprocess.run(command, capture_output=True, timeout=240)
        assert b"CONSOLE" not in done.stderr, done.stderr.decode(errors="replace")
        return done.stdout.decode("utf-8", "replace").split('<script type="application/json"')[0]

    return run


def some_runs(seed: Any) -> Runs:
    """Three learning rates with two seeds each, as a small study leaves them."""
    accuracies, durations = (0.9, 0.88, 0.8, 0.81, 0.6, 0.5), (50.0, 55.0, 20.0, 30.0, 10.0, 40.0)
    for place, (accuracy, duration) in enumerate(zip(accuracies, durations, strict=True)):
        seed(
            f"mlp-{place + 1}",
            params={"lr": 10.0 ** -(place // 2 + 1), "seed": place % 2, "batch": 64},
            metrics={"val/accuracy": [0.1, accuracy / 2, accuracy], "val/loss": [3.0, 2.0, 1 - accuracy]},
            duration=duration,
            sections={"packages": {"torch": f"2.{place}", "numpy": "2.0"}},
        )
    return all_of(seed)


def test_the_page_needs_nothing_from_anywhere(seed: Any, tmp_path: Path) -> None:
    """One file; its own policy forbids every connection, and no address but the name of SVG is in it."""
    page = write_report(some_runs(seed), tmp_path / "deep" / "report.html", title="Rates & seeds")
    text = page.read_text(encoding="utf-8")
    assert "<title>Rates &amp; seeds</title>" in text
    assert "default-src 'none'" in text
    assert set(re.findall(r"https?://[^\"'` )]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"""<script[^>]+src=|<link[^>]+href="(?!data:)|@import|url\(|fetch\(|XMLHttpRequest""", text)
    assert "@@" not in text
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html"]


def test_a_metric_may_be_so_large_that_its_square_overflows(seed: Any, tmp_path: Path) -> None:
    """The param by which runs are coloured is found all the same."""
    for number, value in enumerate((1e200, -1e200, 1.1e200, -1.1e200)):
        seed(f"run-{number}", params={"lr": number % 2}, metrics={"val/loss": [value]})
    assert data_of(write_report(all_of(seed), tmp_path / "report.html"))["columns"]["color"] == "lr"


def test_it_knows_the_runs_their_facts_and_curves(seed: Any, tmp_path: Path) -> None:
    """Params that differ come first; the common environment is there once; curves have steps, times and values."""
    runs = some_runs(seed)
    data = data_of(write_report(runs, tmp_path / "report.html"))
    assert [run["name"] for run in data["runs"]] == [record.name for record in runs]
    assert data["columns"]["params"] == ["lr", "seed", "batch"]
    assert data["columns"]["color"] == "lr"
    assert data["columns"]["tradeoff"] == ["run.duration", "metrics.val/accuracy"]
    last = data["runs"][-1]
    assert (last["params"]["lr"], last["metrics"]["val/accuracy"]["max"], last["duration"]) == (0.1, 0.9, 50.0)
    (curve,) = [curve for curve in data["curves"]["val/loss"] if curve["run"] == 5]
    assert (curve["step"], curve["time"], curve["value"]) == ([0, 1, 2], [0, 1, 2], [3, 2, 0.1])
    assert data["shared"][last["context"]["Packages"]] == {"torch": "2.0", "numpy": "2.0"}


def test_nothing_that_was_recorded_can_break_it(seed: Any, tmp_path: Path) -> None:
    """Ends of scripts, markers of the template, NaN, infinities, huge ints and unicode."""
    odd = {EVIL: EVIL, "nan": math.nan, "inf": math.inf, "big": 10**30, "uni": "ünï 🦊", "mark": "@@data@@ \\1"}
    seed(EVIL, experiment=EVIL, params=odd, metrics={EVIL: [1.0, math.nan, -math.inf, 2.0]}, tags={EVIL: EVIL})
    seed("other", params={"big": 10**30 + 1})
    page = write_report(all_of(seed), tmp_path / "report.html", title=EVIL)
    data = data_of(page)
    run = data["runs"][1]
    assert page.read_text(encoding="utf-8").count("</script>") == 2
    assert run["params"] == {**odd, "nan": "NaN", "inf": "Infinity", "big": str(10**30)}
    assert data["curves"][EVIL][0]["value"] == [1, None, "-Infinity", 2]
    assert "big" in data["columns"]["differing"]


def test_long_curves_are_thinned_out_and_the_page_says_so(seed: Any, tmp_path: Path) -> None:
    """Every extreme stays, the table keeps the exact figures, and the foot tells how it was done."""
    values = np.random.default_rng(0).normal(size=20_000)
    values[777], values[15_000] = 50, -50
    seed(metrics={"loss": values.tolist(), "short": [1, 2]})
    data = data_of(write_report(all_of(seed), tmp_path / "report.html"))
    (curve,) = data["curves"]["loss"]
    assert curve["count"] == 20_000
    assert len(curve["value"]) == len(curve["step"]) <= 400
    assert (max(curve["value"]), min(curve["value"])) == (50, -50)
    assert curve["step"][curve["value"].index(50)] == 777
    assert data["runs"][0]["metrics"]["loss"]["last"] == values[-1]
    assert any("1 curves have more than 400 points" in note for note in data["notes"])


@pytest.mark.parametrize("count", [0, 1, 5, 400, 401, 1000, 7777])
def test_thinning_keeps_ends_extremes_and_gaps(count: int) -> None:
    """At most as many points as wanted, in order; with NaN and infinities too."""
    values = np.random.default_rng(count).normal(size=count)
    values[count // 3 : count // 3 + 1] = math.nan
    values[count // 2 : count // 2 + 1] = math.inf
    kept = thin_out(values, 400)
    assert len(kept) <= 400
    assert (np.diff(kept) > 0).all()
    if count:
        shown, finite = values[kept], values[np.isfinite(values)]
        assert {kept[0], kept[-1]} == {0, count - 1}
        assert np.isinf(shown).any()
        if len(finite):
            assert {finite.min(), finite.max()} <= set(shown)


def test_a_page_that_cannot_be_finished_leaves_the_old_one(seed: Any, tmp_path: Path) -> None:
    """Interrupted while it was read: the file is as it was, and nothing lies beside it."""
    target = tmp_path / "out" / "report.html"
    target.parent.mkdir()
    target.write_text("the old one")

    def interrupt(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(some_runs(seed), target, progress=interrupt)
    assert [path.read_text() for path in target.parent.iterdir()] == ["the old one"]


def test_a_browser_draws_table_curves_front_and_differences(seed: Any, tmp_path: Path, browse: Browse) -> None:
    """The script runs to its end: a row per run, a line per curve, the front, what differs between the latest two."""
    dom = browse(write_report(some_runs(seed), tmp_path / "report.html"))
    assert 'data-ready="6"' in dom
    assert re.findall(r'data-run="\d"[^>]*>.*?class="name text"[^>]*>(mlp-\d)', dom) == [
        f"mlp-{n}" for n in range(6, 0, -1)
    ]
    assert len(re.findall(r'<path class="line"', dom)) == 12
    front = re.findall(r'data-front="(\d)"', dom)
    assert sorted(5 - int(place) + 1 for place in front) == [1, 3, 4, 5]
    assert "4 of 6 on the front" in dom
    differences = dom.split('class="diff"')[1]
    assert re.findall(r'<tr class="changed"><td>(.*?)</td>', differences) == [
        "started", "duration", "seed", "val/accuracy", "val/loss", "torch"
    ]  # fmt: skip


def test_the_front_on_the_page_is_that_of_the_analysis(seed: Any, tmp_path: Path, browse: Browse) -> None:
    """Sixty runs on a coarse grid, so that many are equal in one objective or in both."""
    rng = np.random.default_rng(1)
    for accuracy, duration in rng.integers(0, 8, (60, 2)).tolist():
        seed(metrics={"accuracy": float(accuracy)}, duration=float(duration + max(0, accuracy - 3)))
    runs = all_of(seed)
    front = {record.id for record in runs.pareto({"metrics.accuracy": "max", "run.duration": "min"})}
    dom = browse(write_report(runs, tmp_path / "report.html"))
    assert {runs[int(place)].id for place in re.findall(r'data-front="(\d+)"', dom)} == front
    assert len(front) > 3


def test_the_table_is_sorted_and_filtered(seed: Any, tmp_path: Path, browse: Browse) -> None:
    """A click sorts, the best first; the filter takes words and comparisons, for the charts as well."""
    page = write_report(some_runs(seed), tmp_path / "report.html")
    by_accuracy = "document.querySelector('th[title=\"metrics.val/accuracy\"]').click();"
    assert re.findall(NAMES, browse(page, by_accuracy)) == ["mlp-1", "mlp-2", "mlp-4", "mlp-3", "mlp-5", "mlp-6"]
    filtering = """
        const box = document.getElementById('filter');
        box.value = 'lr>=0.01 seed=1 mlp'; box.dispatchEvent(new Event('input'));
    """
    dom = browse(page, filtering)
    assert re.findall(NAMES, dom) == ["mlp-4", "mlp-2"]
    assert "2 of 6" in dom
    assert len(re.findall(r'<path class="line"', dom)) == 4
    assert "no column “speed”" in browse(page, filtering.replace("lr>=0.01", "speed>1"))


def test_pointing_at_a_curve_tells_its_values(seed: Any, tmp_path: Path, browse: Browse) -> None:
    """The nearest run is named with its step and value; a click on a dot of a run hides its curves."""
    page = write_report(some_runs(seed), tmp_path / "report.html")
    pointing = """
        const chart = document.querySelector('#curves svg[aria-label="val/accuracy"]');
        const box = chart.getBoundingClientRect();
        const spot = { clientX: box.right - 12, clientY: box.top + 17, bubbles: true };
        chart.dispatchEvent(new PointerEvent('pointermove', spot));
    """
    tip = browse(page, pointing).split('id="tip"')[1]
    assert "hidden" not in tip.split(">")[0]
    assert "step 2" in tip
    assert re.search(r'class="lit"><i [^>]*></i>mlp-1<b>0.9</b>', tip)
    hiding = "document.querySelector('tr[data-run=\"0\"] .dot').click();"
    dom = browse(page, hiding)
    assert len(re.findall(r'<path class="line"', dom)) == 10
    assert 'aria-pressed="false" aria-label="show mlp-6"' in dom


def test_odd_names_and_values_are_shown_as_they_are(seed: Any, tmp_path: Path, browse: Browse) -> None:
    """What looks like HTML is text, NaN and infinities are words, and the page's title is its own."""
    seed(
        EVIL, params={"x": math.nan, "y": 10**30}, metrics={"val/<b>": [1.0, math.nan, math.inf, 2.0]}, tags={"t": EVIL}
    )
    seed("second", params={"x": -math.inf})
    dom = browse(write_report(all_of(seed), tmp_path / "report.html", title="mine"))
    assert "<title>mine</title>" in dom
    assert 'data-ready="2"' in dom
    assert "&lt;/script&gt;&lt;script&gt;" in dom
    assert str(10**30) in dom
    assert "2 points are NaN or infinite: gaps" in dom
    assert "<b>val" not in dom


@pytest.mark.parametrize("count", [0, 1])
def test_no_run_and_one_run_are_pages_too(seed: Any, tmp_path: Path, browse: Browse, count: int) -> None:
    """They say what there is nothing of."""
    for _ in range(count):
        seed("only", metrics={"loss": 0.5})
    dom = browse(write_report(all_of(seed), tmp_path / "report.html"))
    assert f'data-ready="{count}"' in dom
    assert "It takes two runs to compare." in dom
    assert ("No run is on this page." in dom) is (count == 0)


def test_two_hundred_runs_of_a_thousand_points_open(seed: Any, tmp_path: Path, browse: Browse) -> None:
    """The file stays small enough to send, and every run is in the table and in the chart."""
    rng = np.random.default_rng(0)
    for place in range(200):
        seed(params={"lr": place % 5}, metrics={"loss": (rng.random(1000).cumsum() + place).tolist()})
    page = write_report(all_of(seed), tmp_path / "report.html")
    assert page.stat().st_size < 4_000_000
    dom = browse(page)
    assert 'data-ready="200"' in dom
    assert len(re.findall(r'<tr class="" data-run', dom)) == 200
    assert len(re.findall(r'<path class="line many"', dom)) == 200
    assert "200 of 200 curves thinned out" in dom


def test_uncommitted_changes_of_two_runs_are_compared_in_the_page(tmp_path: Path, script: Any, browse: Browse) -> None:
    """From the repository of a real script to a diff in the browser."""
    for command in (["init", "-q"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    model = tmp_path / "model.py"
    model.write_text("width = 1\n")
    subprocess.run(["git", "add", "model.py"], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=tmp_path, check=True)
    for name in ("narrow", "wide"):
        model.write_text(f"width = '{name}'  # <b>\n")
        script("import autotrack, sys\nwith autotrack.start_run(sys.argv[1]) as run: run.log({'loss': 1})", name)
    dom = browse(write_report(autotrack.runs(), tmp_path / "report.html"))
    assert "<span class=\"out\">- +width = 'narrow'  # &lt;b&gt;</span>" in dom
    assert "<span class=\"in\">+ +width = 'wide'  # &lt;b&gt;</span>" in dom
