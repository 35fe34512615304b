"""`show`, `compare` and `history`."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def part(answer: Any, title: str) -> str:
    """The part of the output below a heading."""
    found = re.search(rf"^{title}.*\n((?:  .*\n?|\n(?=  ))*)", answer.out, re.MULTILINE)
    assert found, f"no part {title!r} in:\n{answer.out}"
    return found[1]


def test_show_tells_what_a_run_is_about(cli: Cli, runs: Path) -> None:
    """Params that were set, metrics with their course, data, files, environment, children."""
    answer = cli("show", "tree-2")
    assert re.match(r"tree-2  finished  [0-9a-f]{16}\ndigits · started .* · took .*\nteam=vision\n", answer.out)
    assert part(answer, "Params").split() == ["depth", "5", "lr", "0.3"]
    assert re.search(r"val/accuracy +1 +0 +1 +100  ▁\S*█\n", part(answer, "Metrics"))
    assert re.search(r"fold-1 +[0-9a-f]{16} +finished", part(answer, "Children"))
    assert re.search(r"pixels  train  version 7 · 2 × 2", part(answer, "Data"))
    assert "notes/summary.txt" in part(answer, "Files")
    assert re.search(r"python +cpython \d", part(answer, "Environment"))
    assert "command" in part(answer, "Environment")


def test_show_without_a_run_is_the_last_one_with_its_failure(cli: Cli, runs: Path) -> None:
    """Bare `show` is `show last`; what ended it and what was not captured is said."""
    answer = cli("show")
    assert answer.lines[0].startswith("broken  failed  ")
    assert part(answer, "Failed").rstrip().endswith("ValueError: matrix is singular")
    assert 'raise ValueError("matrix is singular")' in part(answer, "Failed")
    assert "gpu: the driver did not answer" in part(answer, "Not captured")
    assert cli("show", "last~1").lines[0].startswith("tree-2 ")


def test_show_counts_defaults_and_shows_them_when_asked(in_terminal: Cli, cli: Cli, runs: Path) -> None:
    """Defaults of a framework stay out of the way, but not out of reach."""
    assert "Params  and 2 defaults: --all-params" in in_terminal("show", "tree-0").out
    assert part(cli("show", "tree-0", "--all-params"), "Params").split() == [
        "depth", "3", "lr", "0.1", "tol", "0.0001", "verbose", "false",
    ]  # fmt: skip


def test_json_of_show_is_the_whole_record(cli: Cli, runs: Path) -> None:
    """Everything that is recorded but the points, in shapes that can be relied on."""
    tree, broken = cli("show", "tree-2", "--json").json, cli("show", "broken", "--json").json
    assert tree["param_origins"] == {"depth": "set", "lr": "set", "tol": "default", "verbose": "default"}
    assert tree["datasets"][0]["name"] == "pixels"
    assert tree["artifacts"][0]["name"] == "notes/summary.txt"
    assert tree["environment"]["process"]["data"]["python"].count(".") == 2
    assert (tree["failure"], tree["attempts"][0]["status"]) == (None, "finished")
    assert broken["failure"]["type"] == "ValueError"
    assert broken["failure"]["traceback"].startswith("Traceback")
    line = {"what": "gpu", "message": "the driver did not answer", "level": "missing", "times": 1}
    assert line in broken["capture_report"]


@pytest.mark.parametrize("width", [80, 140])
def test_show_and_compare_fit_the_terminal(in_terminal: Cli, runs: Path, width: int) -> None:
    """Whatever a path or package list is like, lines end where the terminal does."""
    for arguments in (["show", "tree-2", "--all"], ["compare", "tree-0", "tree-1", "tree-2", "broken", "--all"]):
        answer = in_terminal(*arguments, width=width)
        assert answer.code == 0
        assert max(map(len, answer.lines)) <= width


def test_an_unfinished_run_is_shown_as_what_became_of_it(cli: Cli, record: Callable[[str], None]) -> None:
    """A process that was killed leaves a crashed run with all that it had logged."""
    record(
        """
        import subprocess, sys
        code = "import autotrack, os; autotrack.start_run('doomed').log({'loss': 2.5}); os.kill(os.getpid(), 9)"
        subprocess.run([sys.executable, "-c", code])
        """
    )
    answer = cli("show", "doomed")
    assert answer.lines[0].startswith("doomed  crashed  ")
    assert re.search(r"loss +2.5", part(answer, "Metrics"))


def test_compare_shows_what_differs_and_nothing_else(cli: Cli, runs: Path) -> None:
    """Runs stand side by side, by default the last two; what is the same is left out."""
    answer = cli("compare", "tree-0", "tree-2")
    assert answer.lines[0].split() == ["tree-0", "tree-2"]
    assert part(answer, "Params").split() == ["depth", "3", "5", "lr", "0.1", "0.3"]
    assert "tol" not in answer.out
    assert "vision" not in answer.out
    assert cli("compare").lines[0].split() == ["tree-2", "broken"]
    assert "tol" in part(cli("compare", "tree-0", "tree-2", "--all"), "Params")
    values = cli("compare", "tree-0", "tree-1", "tree-2", "--json").json
    lr = values["params"]["lr"]
    assert [lr[run["id"]] for run in values["runs"]] == [0.1, 0.01, 0.3]


def test_compare_shows_how_uncommitted_code_differs(cli: Cli, record: Callable[[str], None]) -> None:
    """`--code` sets the changes of two runs against each other."""
    record(
        """
        import subprocess, sys
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "init", "-q"], check=True)
        for text in ("first", "second", "third"):
            open("model.py", "w").write(f"WORD = {text!r}\\n")
            if text == "first":
                subprocess.run([*git, "add", "model.py"], check=True)
                subprocess.run([*git, "commit", "-qm", "model"], check=True)
                open("train.py", "w").write("import autotrack; autotrack.start_run(__import__('sys').argv[1]).finish()")
            else:
                subprocess.run([sys.executable, "train.py", text], check=True)
        """
    )
    answer = cli("compare", "second", "third", "--code")
    changes = part(answer, "Uncommitted changes")
    assert "-+WORD = 'second'" in changes
    assert "++WORD = 'third'" in changes
    refused = cli("compare", "second", "third", "second", "--code")
    assert refused.code == 2


def test_history_gives_every_point_to_programs(cli: Cli, runs: Path) -> None:
    """CSV and JSON have the values to the last digit, of several runs and metrics."""
    rows = list(csv.DictReader(cli("history", "tree-0", "tree-1", "-m", "val/accuracy", "--csv").lines))
    assert len(rows) == 200
    assert list(rows[0]) == ["run_id", "metric", "step", "time", "value"]
    assert {row["metric"] for row in rows} == {"val/accuracy"}
    assert [row["step"] for row in rows[:3]] == ["0", "1", "2"]
    assert len({row["run_id"] for row in rows}) == 2
    import math

    assert float(rows[1]["value"]) == 1 - math.exp(-0.1)
    series = {found["metric"]: found for found in cli("history", "broken", "--json").json}
    assert series["train/loss"]["values"] == ["Infinity"]
    assert series["odd"]["values"] == ["NaN"]
    assert series["odd"]["steps"] == [0]


def test_history_in_a_terminal_shows_the_course_and_some_points(in_terminal: Cli, cli: Cli, runs: Path) -> None:
    """A person sees a curve and twenty points, the first and the last among them; `--all` and pipes have all."""
    answer = in_terminal("history", "tree-0", "--metric", "train/loss")
    assert re.match(r"train/loss of tree-0  █[▁▂▃▄▅▆▇█]+▁\n", answer.out)
    steps = [line.split()[0] for line in answer.lines[2:-1]]
    assert (len(steps), steps[0], steps[-1]) == (20, "0", "99")
    assert "20 of 100 points" in answer.out
    assert len(in_terminal("history", "tree-0", "-m", "train/loss", "--all").lines) == 101
    assert len(cli("history", "tree-0", "-m", "train/loss").lines) == 101
