"""The command as a whole: help, errors, exit codes, pipes, places where nothing is."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
COMMANDS = (
    "runs", "show", "compare", "best", "pareto", "history", "export", "report", "tag", "note", "rename", "delete",
    "restore", "where", "recover", "sync", "gc", "doctor",
)  # fmt: skip


def test_the_front_page_lists_every_command_with_examples(cli: Cli) -> None:
    """`autotrack` and `autotrack --help` say what there is to do, in lines that fit."""
    page = cli()
    assert page.code == 0
    assert page.out == cli("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in page.out
    assert "Examples\n  autotrack runs" in page.out
    assert max(map(len, page.lines)) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(cli: Cli, command: str) -> None:
    """Each command explains itself and can speak to programs."""
    page = cli(command, "--help")
    assert page.code == 0
    assert page.out.startswith(f"Usage: autotrack {command}")
    assert "--json" in page.out


def test_help_imports_nothing_heavy() -> None:
    """The help page needs neither a database nor NumPy nor rich."""
    code = """
import sys
sys.argv = ["autotrack", "--help"]
from autotrack.cli import main
try:
    main()
except SystemExit:
    pass
heavy = {"numpy", "pyarrow", "sqlalchemy", "rich", "psutil", "git"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_version_is_that_of_the_distribution(cli: Cli) -> None:
    """`--version` and both ways to start the module agree."""
    from importlib.metadata import version

    assert cli("--version").out == f"autotrack {version('autotrack-ml')}\n"
    other = subprocess.run([sys.executable, "-m", "autotrack", "--version"], capture_output=True, text=True)
    assert other.stdout == f"autotrack {version('autotrack-ml')}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["rums"], 2, "error: No such command 'rums'"),
        (["runs", "--nope"], 2, "error: No such option: --nope"),
        (["show", "nobody"], 1, "error: there is no run 'nobody'"),
        (["best", "val/nothing", "--mode", "max"], 1, "error: none of the 6 runs has a number"),
        (["best", "val/accuracy", "--mode", "big"], 2, "error: --mode is max or min, not 'big'"),
        (["pareto", "val/accuracy"], 2, "error: 'val/accuracy': write NAME:max or NAME:min"),
        (["tag", "last", "novalue"], 2, "error: 'novalue': write KEY=VALUE"),
        (["history", "last", "-m", "nothing"], 1, "error: there is no 'nothing'"),
        (["export", "x", "--format", "xls"], 2, "error: --format is parquet or csv, not 'xls'"),
        (["compare", "tree-0"], 2, "error: one run differs from nothing"),
        (["report", "-o", "/proc/nowhere/report.html"], 1, "error: "),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_an_exit_code(
    cli: Cli, runs: Path, arguments: list[str], code: int, message: str
) -> None:
    """Errors go to stderr in one line: 1 for what cannot be done, 2 for what was not understood."""
    answer = cli(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith(message)
    assert len(answer.err.splitlines()) == 1


def test_a_wrong_filter_is_shown_with_its_place(cli: Cli, runs: Path) -> None:
    """A filter that makes no sense comes back with a caret under the place."""
    answer = cli("runs", "params.lr >> 3")
    assert answer.code == 2
    first, text, caret = answer.err.splitlines()
    assert first.startswith("error: ")
    assert text.strip() == "params.lr >> 3"
    assert text[caret.index("^")] == ">"


def test_what_nobody_foresaw_is_one_line_too_unless_debugging(cli: Cli, runs: Path) -> None:
    """A file that is no database gives no traceback, but names its kind."""
    for path in runs.glob("store.db*"):
        path.unlink()
    (runs / "store.db").write_bytes(b"this is no database" * 1000)
    answer = cli("runs")
    assert answer.code == 1
    assert len(answer.err.splitlines()) == 1
    assert "not a database" in answer.err


def test_debugging_shows_where_an_error_came_from(runs: Path, tmp_path: Path) -> None:
    """AUTOTRACK_DEBUG=1 brings the traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "autotrack.cli", "show", "nobody"],
        capture_output=True, text=True, env={**os.environ, "AUTOTRACK_DEBUG": "1"}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "NotFoundError" in done.stderr


def test_a_reader_that_leaves_ends_the_command_quietly(runs: Path, tmp_path: Path) -> None:
    """`autotrack history … | head -1` prints no complaint."""
    command = f"{shlex.quote(sys.executable)} -m autotrack.cli history tree-0 tree-1 tree-2 --csv | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "run_id,metric,step,time,value\n"
    assert done.stderr == ""


def test_a_closed_output_ends_the_command_with_the_code_of_a_closed_pipe(runs: Path, tmp_path: Path) -> None:
    """Whoever asks for the exit code sees what a shell reports of SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "autotrack.cli", "runs"], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_interrupt_ends_with_130(runs: Path, tmp_path: Path) -> None:
    """Ctrl-C while the command waits for stdin leaves without a traceback."""
    waiting = subprocess.Popen(
        [sys.executable, "-m", "autotrack.cli", "note", "last", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    _until_reading_stdin(waiting)
    waiting.send_signal(signal.SIGINT)
    _, errors = waiting.communicate()
    assert waiting.returncode == 130
    assert "Traceback" not in errors


def _until_reading_stdin(process: subprocess.Popen[str]) -> None:
    """Give the process something to read, and wait until it has taken it: then it is waiting for more."""
    assert process.stdin is not None
    process.stdin.write("half a note")
    process.stdin.flush()
    while int.from_bytes(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)), sys.byteorder):
        assert process.poll() is None
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["runs"], None), (["show"], None), (["compare"], None), (["best", "loss"], None), (["recover"], None),
        (["gc"], None), (["export", "out"], None), (["report"], None), (["runs", "--json"], []),
        (["show", "--json"], None), (["best", "loss", "--json"], None),
    ],
)  # fmt: skip
def test_where_nothing_is_recorded_a_command_says_what_to_do(
    cli: Cli, place: Path, tmp_path: Path, arguments: list[str], answer: Any
) -> None:
    """No error, no traces: a hint how to begin, and JSON for those who asked for it."""
    said = cli(*arguments)
    assert said.code == 0
    if "--json" in arguments:
        assert said.json == answer
        assert "no runs yet" in said.err
    else:
        assert "no runs yet" in said.out
        assert "autotrack.autolog()" in said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["runs"], ["best", "loss", "--filter"], ["pareto", "loss:min", "--filter"]])
def test_a_wrong_filter_is_an_error_also_where_nothing_is_recorded(
    cli: Cli, tmp_path: Path, command: list[str]
) -> None:
    """Whoever mistypes the first filter learns it now, not with the first run."""
    said = cli(*command, "params.lr >> 3")
    assert said.code == 2
    assert "^" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_named_must_exist_also_where_nothing_is_recorded(cli: Cli, tmp_path: Path) -> None:
    """A tag for a run that does not exist is an error, not a hint."""
    for arguments in (["tag", "last", "a=b"], ["show", "tree-1"], ["delete", "tree-1", "--yes"]):
        said = cli(*arguments)
        assert said.code == 1
        assert said.err.startswith("error: there is no run")
    assert list(tmp_path.iterdir()) == []


def test_dir_chooses_another_place_for_this_call(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    """`--dir` reads elsewhere, and hints when the folder above was given."""
    assert "tree-0" in cli("--dir", str(recorded), "runs").out
    above = cli("--dir", str(recorded.parent), "runs")
    assert f"autotrack --dir {recorded} runs" in above.out
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_may_only_be_read_is_read(cli: Cli, runs: Path, record: Callable[[str], None]) -> None:
    """A place that cannot be written answers, with what lies in its journals, and says why it keeps no tag."""
    record("import autotrack; autotrack.start_run('late').finish()")
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for the superuser")
    for folder, _, files in os.walk(runs):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chmod(path, os.stat(path).st_mode & ~0o222)
    try:
        assert "late" in cli("runs").out
        refused = cli("tag", "late", "a=b")
        assert refused.code == 1
        assert "cannot be written" in refused.err
    finally:
        for folder, _, _ in os.walk(runs):
            os.chmod(folder, 0o755)


def test_output_is_utf8_whatever_the_locale(cli: Cli, record: Callable[[str], None]) -> None:
    """Names in any script reach a program as UTF-8."""
    record("import autotrack; autotrack.start_run('größer-模型', params={'naïve': 'ü'}).finish()")
    said = cli("runs", "--json", LC_ALL="POSIX", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert said.json[0]["name"] == "größer-模型"
    assert said.json[0]["params"] == {"naïve": "ü"}


def test_no_line_about_recording_comes_from_a_command(cli: Cli, runs: Path) -> None:
    """Looking and tagging are not recording a run: nothing but the answer is said."""
    assert cli("runs", AUTOTRACK_QUIET="").err == ""
    assert cli("tag", "last", "a=b", AUTOTRACK_QUIET="").err == ""
