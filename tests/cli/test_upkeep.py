"""`where`, `recover`, `sync`, `doctor`, `export`, `report`, completion, progress."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_where_names_the_place_the_reason_and_the_sizes(cli: Cli, in_terminal: Cli, runs: Path) -> None:
    """The folder alone on the first line, for scripts; the sum of the parts is the whole."""
    assert cli("where").lines[0] == str(runs)
    assert "chosen by AUTOTRACK_DIR" in in_terminal("where", width=200).out
    found = cli("where", "--json").json
    assert (found["path"], found["exists"]) == (str(runs), True)
    parts = found["bytes"]
    assert parts["records"] > 0 or parts["journals"] > 0
    assert parts.pop("total") == sum(parts.values())


def test_recover_tells_of_each_journal(
    cli: Cli, place: Path, record: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, ended, damaged and unreadable ones: what was found, what was skipped, what was removed."""
    everything = "process,scheduler,notebook,seeds,packages,git,hardware,system"  # only points are there to be hit
    monkeypatch.setenv("AUTOTRACK_CAPTURE", ",".join(f"-{name}" for name in everything.split(",")))
    record(
        """
        import os, subprocess, sys
        killed = (
            "import autotrack, os; run = autotrack.start_run('killed');"
            "[run.log({'x': i}) for i in range(50)]; os._exit(9)"
        )
        damaged = killed.replace("'killed'", "'damaged'").replace("range(50)", "range(5000)")
        subprocess.run([sys.executable, "-c", killed])
        subprocess.run([sys.executable, "-c", damaged])
        """
    )
    by_size = sorted((place / "journals").iterdir(), key=lambda folder: folder.stat().st_mtime)
    segment = max(by_size[-1].iterdir(), key=lambda path: path.stat().st_size)
    with segment.open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 300)
    (place / "journals" / ("0" * 32)).mkdir()
    told = cli("recover", "--json").json
    journals = {found["journal"]: found for found in told["journals"]}
    assert len(journals) == 3
    assert journals["0" * 32]["state"] == "unreadable"
    assert journals["0" * 32]["deleted"] is False
    assert [found["deleted"] for found in journals.values() if found["state"] == "dead"] == [True, True]
    assert journals[by_size[-1].name]["damaged"] >= 1
    assert told["damaged"] >= 1
    assert told["runs"] == 2
    points = {run["name"]: run["metrics"]["x"]["count"] for run in cli("runs", "--json").json}
    assert points["killed"] == 50
    assert 4_000 < points["damaged"] < 5_000
    assert cli("doctor").code == 1


def test_recover_in_words(cli: Cli, record: Callable[[str], None], runs: Path) -> None:
    """A table and a sum; and nothing to tell once it is done."""
    cli("runs")
    record("import autotrack; autotrack.start_run('one', params={'a': 1}).finish()")
    told = cli("recover")
    assert "taken up and removed" in told.out
    assert "taken up: 1 run, " in told.out
    assert cli("recover").out == "no journals: everything is in the store\n"


def test_sync_delivers_to_the_configured_sinks(cli: Cli, tmp_path: Path, record: Callable[[str], None]) -> None:
    """What a training could not deliver goes out later, once; a journal waits for that."""
    blocked = tmp_path / "sink"
    blocked.write_text("a file where the folder should be")
    environment = {"AUTOTRACK_SINKS": f"jsonl://{blocked}", "AUTOTRACK_EXIT_TIMEOUT": "0.1"}
    code = "import warnings; warnings.simplefilter('ignore'); import autotrack; autotrack.start_run('one').finish()"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, cwd=tmp_path, check=True)
    failed = cli("sync", **environment)
    assert failed.code == 1
    assert "Error: " in failed.out
    assert "kept: a sink has not confirmed it" in cli("recover").out
    blocked.unlink()
    done = cli("sync", "--json", **environment).json
    assert [(found["error"], found["behind"]) for found in done] == [(None, [])]
    written = [json.loads(line) for path in blocked.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sum(event["event"] == "run_started" for event in written) == 1
    assert cli("sync", **environment).code == 0
    assert cli("recover").out.count("taken up and removed") == 1
    assert "no sinks are configured" in cli("sync").err


def test_doctor_looks_at_everything_that_recording_needs(cli: Cli, runs: Path) -> None:
    """Versions, integrations, the place, the store; all well, exit code 0."""
    cli("runs")
    answer = cli("doctor", "--json")
    assert answer.code == 0
    found = {(finding["part"], finding["subject"]): finding for finding in answer.json["findings"]}
    assert found["Installed", "sqlalchemy"]["verdict"] == "ok"
    assert str(runs) in found["Place", "folder"]["detail"]
    assert found["Place", "writing"]["verdict"] == "ok"
    assert "6 runs" in found["Records", "store"]["detail"]
    assert ("Integrations", "sklearn") in found
    assert cli("doctor").lines[-1] == "all is well"


def test_doctor_says_what_is_wrong(cli: Cli, runs: Path, tmp_path: Path) -> None:
    """Recording switched off, a sink that nobody knows, a journal that cannot be read."""
    (runs / "journals" / ("0" * 32)).mkdir(parents=True)
    answer = cli("doctor", AUTOTRACK="0", AUTOTRACK_SINKS="fax://office")
    assert answer.code == 1
    assert "off: AUTOTRACK=0" in answer.out
    assert "no sink is registered for 'fax'" in answer.out
    assert answer.lines[-1] == "2 problems"


def test_export_and_report_write_files(cli: Cli, runs: Path, tmp_path: Path) -> None:
    """Parquet that other engines read, CSV, a page; an export is not overwritten unless asked."""
    assert cli("export", "out").out.startswith("out: 4 runs, ")
    from pyarrow import parquet

    table = parquet.read_table(next((tmp_path / "out" / "runs").rglob("*.parquet")))
    assert set(table.column("name").to_pylist()) == {"broken", "tree-0", "tree-1", "tree-2"}
    again = cli("export", "out")
    assert again.code == 1
    assert len(again.err.splitlines()) == 1
    assert cli("export", "out", "run.name = tree-1", "--format", "csv", "--overwrite", "--json").json["runs"] == 1
    assert "tree-1" in (tmp_path / "out" / "runs.csv").read_text()
    assert cli("report", "-o", "page.html", "--title", "All trees").out.startswith("page.html: 4 runs, ")
    assert "All trees" in (tmp_path / "page.html").read_text()


def test_run_arguments_complete_names_and_ids(cli: Cli, runs: Path) -> None:
    """The shell offers names, ids once a few digits are typed, and `last`."""
    offered = cli("runs", "--json").json
    run = offered[1]["id"]

    def complete(typed: str) -> list[str]:
        environment = {
            "_AUTOTRACK_COMPLETE": "complete_bash",
            "COMP_WORDS": f"autotrack show {typed}",
            "COMP_CWORD": "2",
        }
        return list(cli(**environment).lines)

    assert set(complete("tre")) == {"tree-0", "tree-1", "tree-2"}
    assert complete(run[:10]) == [run]
    assert complete("la") == ["last"]


def test_a_shell_gets_its_completion(cli: Cli) -> None:
    """The script that `--install-completion` puts into the shell's settings asks the command itself."""
    script = cli(_AUTOTRACK_COMPLETE="source_bash").out
    assert "_AUTOTRACK_COMPLETE=complete_bash" in script
    assert script.rstrip().endswith("autotrack")
    assert "--install-completion" in cli("--help").out


def test_work_of_more_than_a_second_shows_a_bar_to_a_person(
    in_terminal: Cli, cli: Cli, runs: Path, record: Callable[[str], None]
) -> None:
    """While another process holds the store, a terminal says what is being done, and forgets it afterwards."""
    cli("runs")
    record("import autotrack; autotrack.start_run('late').finish()")
    holder = sqlite3.connect(runs / "store.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")

    def let_go_when_told(text: str) -> None:
        if "taking up new records" in text and holder.in_transaction:
            holder.execute("ROLLBACK")

    answer = in_terminal("runs", watch=let_go_when_told)
    holder.close()
    assert answer.code == 0
    assert "taking up new records" in answer.out
    assert "late" in answer.out
    assert cli("runs").err == ""
