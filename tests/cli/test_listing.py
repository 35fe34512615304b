"""`runs`, `best` and `pareto`: in a terminal, in a pipe, as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_runs_shows_names_ids_status_and_what_tells_runs_apart(cli: Cli, runs: Path) -> None:
    """Set params that differ and the main metrics are columns; the same everywhere, and defaults, are not."""
    answer = cli("runs")
    titles, *rows = answer.lines
    assert titles.split() == [
        "name", "id", "status", "started", "took", "children", "lr", "depth", "val/accuracy", "train/loss",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == ["broken", "tree-2", "tree-1", "tree-0"]
    assert re.match(r"tree-2 +[0-9a-f]{16} +finished +\d{4}-\d\d-\d\dT[\d:+-]+ +.+ +2 +0\.3 +5 +1 ", rows[1])
    assert re.match(r"broken +[0-9a-f]{16} +failed ", rows[0])
    assert "nan" in rows[0]
    assert "inf" in rows[0]
    assert answer.err == ""


def test_runs_filters_orders_limits_and_says_how_many_more(cli: Cli, runs: Path) -> None:
    """The filter language, an order by a metric, and a limit that does not hide what it left out."""
    answer = cli("runs", "params.lr < 0.2", "--order-by=metrics.val/accuracy.max", "--limit", "1")
    assert answer.lines[0].split()[-2:] == ["val/accuracy.max", "train/loss"]
    assert [line.split()[0] for line in answer.lines[1:]] == ["tree-1"]
    assert answer.err == "1 more run: --limit 0\n"
    by_version = cli("runs", "--order-by=env.python", "--limit", "2")
    assert by_version.lines[0].split().count("env.python") == 1
    assert len(by_version.lines) == 3
    assert cli("runs", "params.lr > 5").err == "no runs match\n"
    assert cli("runs", "--experiment", "other").err == "no runs match\n"


def test_runs_lists_children_when_asked(cli: Cli, runs: Path) -> None:
    """`--all`, or a filter that finds them by their parent's kind, brings the folds."""
    assert "fold-1" not in cli("runs").out
    assert "fold-1" in cli("runs", "--all").out


def test_columns_are_exactly_those_asked_for_with_exact_values(cli: Cli, runs: Path) -> None:
    """`--columns` takes attributes, params, metrics with aggregates, tags and facts of the environment."""
    names = "name,lr,params.depth,val/accuracy.max,metrics.val/accuracy.count,tags.team,env.python,run.duration"
    answer = cli("runs", "run.name = tree-1", "--columns", names)
    titles, row = answer.lines
    assert titles.split() == names.split(",")
    name, lr, depth, highest, count, team, python, duration = row.split()
    assert (name, lr, depth, count, team) == ("tree-1", "0.01", "3", "100", "vision")
    assert float(highest) == pytest.approx(0.6284, abs=1e-4)
    assert len(highest) > 10
    assert python.count(".") == 2
    assert float(duration) > 0
    wrong = cli("runs", "--columns", "name,colour.of")
    assert wrong.code == 2
    assert wrong.err.startswith("error: there is no 'colour'")


def test_json_of_runs_is_a_list_of_all_with_numbers_as_they_are(cli: Cli, runs: Path) -> None:
    """Every run is in it unless a limit is given; NaN and infinities are strings."""
    found = {run["name"]: run for run in cli("runs", "--json").json}
    assert list(found) == ["broken", "tree-2", "tree-1", "tree-0"]
    tree, broken = found["tree-2"], found["broken"]
    assert {"id", "experiment", "kind", "status", "started", "ended", "duration", "parent", "user", "host"} <= set(tree)
    assert (tree["status"], tree["children"], tree["params"]["lr"]) == ("finished", 2, 0.3)
    assert tree["started"].endswith("Z")
    assert tree["metrics"]["val/accuracy"]["count"] == 100
    assert tree["metrics"]["val/accuracy"]["max_step"] == 99
    assert (broken["params"]["lr"], broken["metrics"]["train/loss"]["last"]) == ("NaN", "Infinity")
    picked = cli("runs", "--json", "--limit", "1", "--columns", "name,lr,status").json
    assert picked == [{"name": "broken", "lr": "NaN", "status": "failed"}]


@pytest.mark.parametrize("width", [80, 140])
def test_a_table_fits_the_terminal_and_keeps_what_names_a_run(in_terminal: Cli, runs: Path, width: int) -> None:
    """No line is longer than the terminal is wide; ids and names are whole; more room shows more."""
    answer = in_terminal("runs", width=width)
    table = [line for line in answer.lines if line]
    assert answer.code == 0
    assert max(map(len, table)) <= width
    assert all(
        re.match(r"(tree-\d|broken) +[0-9a-f]{8} +(finished|failed) +(just now|\d+ \w+ ago) ", row)
        for row in table[1:5]
    )
    assert ("train/loss" in table[0]) == (width == 140)
    assert "val/accuracy" in table[0]
    assert ("more column" in answer.out) == (width == 80)


def test_long_names_and_wide_letters_still_fit(in_terminal: Cli, record: Callable[[str], None]) -> None:
    """A name loses its middle rather than its number, and letters of two columns count as two."""
    record(
        """
        import autotrack
        autotrack.start_run("a-really-long-name-of-an-estimator-that-nobody-reads-12", params={"k": "x" * 300}).finish()
        autotrack.start_run("模型" * 30 + "-7", params={"k": "模" * 90}).finish()
        autotrack.start_run("es\\x1b[31mcape", params={"k": "a\\nb"}).finish()
        """
    )
    answer = in_terminal("runs")
    from rich.cells import cell_len

    assert max(map(cell_len, answer.lines)) <= 80
    assert re.search(r"a-really.*…\S*12 ", answer.out)
    assert re.search(r"模型.*…\S*-7 ", answer.out)
    assert r"es\x1b[31mcape" in answer.out


def test_status_has_colour_in_a_terminal_only(in_terminal: Cli, cli: Cli, runs: Path) -> None:
    """Green and red for a person, plain words for a program or where NO_COLOR is set."""
    coloured = in_terminal("runs", styled=True).out
    assert "\x1b[32mfinished" in coloured
    assert "\x1b[31mfailed" in coloured
    assert "\x1b" not in cli("runs").out


def test_best_names_the_run_its_value_and_step(cli: Cli, runs: Path) -> None:
    """The best value of all steps; the metric's name tells the way, or `--mode` does."""
    assert cli("best", "val/accuracy").out.startswith("val/accuracy 1 at step 99, the maximum of 6 runs")
    answer = cli("best", "train/loss", "--mode", "max", "--filter", "run.name like 'tree-%'", "--json").json
    assert (answer["mode"], answer["value"], answer["step"]) == ("max", 1.0, 0)
    assert answer["run"]["name"] == "tree-2"
    unclear = cli("best", "odd")
    assert unclear.code == 2
    assert "--mode max or --mode min" in unclear.err


def test_pareto_lists_what_nothing_beats(cli: Cli, runs: Path) -> None:
    """With two objectives that disagree two runs stay; those without a number are named in a warning."""
    answer = cli("pareto", "metrics.val/accuracy:max", "params.lr:min", "--json")
    found = {run["name"]: run["objectives"] for run in answer.json}
    assert set(found) == {"tree-0", "tree-1", "tree-2"}
    assert found["tree-1"]["params.lr"] == 0.01
    assert answer.err.startswith("warning: 1 of 4 runs are left out")
    table = cli("pareto", "metrics.val/accuracy:max", "params.depth:min")
    assert {line.split()[0] for line in table.lines[1:]} == {"tree-0", "tree-2"}
    elsewhere = cli("pareto", "env.cores:min", "params.depth:min", "--filter", "run.name = tree-2")
    assert "env.cores" in elsewhere.lines[0].split()
    assert [line.split()[0] for line in elsewhere.lines[1:]] == ["tree-2"]
