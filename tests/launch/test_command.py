"""What a command line runs: the program, and for a Python its script or module."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotrack.launch.command import Command


@pytest.mark.parametrize(
    ("line", "script", "module", "blocking"),
    [
        ("train.py --lr 0.1", "train.py", None, ""),
        ("-u -W ignore train.py", "train.py", None, ""),
        ("-uWignore train.py", "train.py", None, ""),
        ("-X dev -Xfaulthandler train.py", "train.py", None, ""),
        ("-m pkg.train -c", None, "pkg.train", ""),
        ("-Im pkg", None, "pkg", "-I"),
        ("-ES train.py", "train.py", None, "-E -S"),
        ("-c print() train.py", None, None, ""),
        ("-", None, None, ""),
        ("-- -x.py", "-x.py", None, ""),
        ("-u -- train.py", "train.py", None, ""),
        ("--", None, None, ""),
        ("--version", None, None, ""),
        ("", None, None, ""),
        ("missing.py", None, None, ""),
    ],
)
def test_a_python_is_read_as_it_reads_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, script: str | None, module: str | None, blocking: str
) -> None:
    """Options with values of their own, joined or apart, and the ends of the options: -m, -c, - and --."""
    monkeypatch.chdir(tmp_path)
    for name in ("train.py", "-x.py", "-"):
        (tmp_path / name).touch()
    command = Command.of(["python3", *line.split()])
    found = command.script.name if command.script is not None else None
    assert (found, command.module, " ".join(command.blocking)) == (script, module, blocking)
