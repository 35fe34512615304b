"""At a prompt without a notebook: IPython in a terminal, and Python's own. What fails at a prompt ends no run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import autotrack


def at_prompt(command: list[str], lines: list[str], folder: Path) -> str:
    """Type lines at a prompt; returns what was printed."""
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        command, input="\n".join([*lines, ""]), capture_output=True, text=True, timeout=240, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_ipython(tmp_path: Path) -> None:
    """`%load_ext`, a run across lines, an exception in between: finished at the end, with its code."""
    pytest.importorskip("IPython")
    out = at_prompt(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit"],
        ["%load_ext autotrack", "import autotrack", "run = autotrack.start_run()", "1 / 0", "run.log({'loss': 1.0})",
         "print('alive')", "exit"],
        tmp_path,
    )  # fmt: skip
    assert "alive" in out
    record = autotrack.get_run()
    assert (record.status, record.experiment, record.metrics["loss"].count) == ("finished", "interactive", 1)
    assert record.environment["notebook"]["kind"] == "ipython"
    assert "run.log({'loss': 1.0})" in record.artifacts["notebook/code.py"].read().decode()
    assert any("ZeroDivisionError" in line for line in record.capture_report)
    assert record.console == ""


def test_ipython_that_ends_after_an_exception(tmp_path: Path) -> None:
    """The last line failed, and the run was left open: failed."""
    pytest.importorskip("IPython")
    at_prompt(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit"],
        ["import autotrack", "run = autotrack.start_run('fails')", "1 / 0"],
        tmp_path,
    )
    record = autotrack.get_run("fails")
    assert (record.status, record.failure_type) == ("failed", "ZeroDivisionError")


def test_python(tmp_path: Path) -> None:
    """Python's own prompt does not tell how a line ended: what is left open is finished, and later lines count."""
    at_prompt(
        [sys.executable, "-i"],
        ["import autotrack", "run = autotrack.start_run('prompt')", "1 / 0", "run.log({'loss': 1.0})"],
        tmp_path,
    )
    record = autotrack.get_run("prompt")
    assert (record.status, record.experiment, record.metrics["loss"].count) == ("finished", "interactive", 1)


def test_a_script_that_fails_before_its_prompt(tmp_path: Path) -> None:
    """`python -i train.py`: an exception of the script is how its run ended."""
    script = tmp_path / "train.py"
    script.write_text("import autotrack\nrun = autotrack.start_run('script')\nraise ValueError('no')\n")
    at_prompt([sys.executable, "-i", str(script)], ["print(run.status)"], tmp_path)
    assert (autotrack.get_run("script").status, autotrack.get_run("script").failure_type) == ("failed", "ValueError")
