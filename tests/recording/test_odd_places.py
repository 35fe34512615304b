"""Where a program runs, and what it hands over, never ends a training: deleted folders, no home, pipes, dead links."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.exceptions import InvalidValueError

QUIET = {"AUTOTRACK_QUIET": "1", "AUTOTRACK_CAPTURE": "-packages,-hardware"}


def run_script(tmp_path: Path, source: str, **environment: str | None) -> str:
    """The output of a program with these variables; None removes one."""
    script = tmp_path / "script.py"
    script.write_text(source)
    variables = {**os.environ, **QUIET, **environment}
    given = {name: text for name, text in variables.items() if text is not None}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=170, env=given
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_working_folder_that_was_deleted(tmp_path: Path) -> None:
    """Autolog and runs work, and record to the user's data folder."""
    source = """
import os, tempfile
os.chdir(tempfile.mkdtemp())
os.rmdir(os.getcwd())
import autotrack
autotrack.autolog()
with autotrack.start_run("lost") as run:
    run.log({"x": 1.0})
print([record.name for record in autotrack.runs()], autotrack.get_run("lost").metrics["x"].last)
"""
    data = tmp_path / "data"
    assert run_script(tmp_path, source, XDG_DATA_HOME=str(data), AUTOTRACK_DIR=None) == "['lost'] 1.0\n"
    assert (data / "autotrack" / "store.db").is_file()


@pytest.mark.parametrize("chosen", [True, False])
def test_a_user_without_home_and_name(tmp_path: Path, chosen: bool) -> None:
    """As in a container: with AUTOTRACK_DIR, and without in a folder that can be written."""
    source = """
import pwd
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
import autotrack
autotrack.autolog()
with autotrack.start_run("own") as run:
    run.log({"x": 1.0})
print(len(autotrack.runs()), repr(autotrack.get_run("own").user))
"""
    place = str(tmp_path / "store") if chosen else None
    nobody = dict.fromkeys(("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_DATA_HOME"))
    assert run_script(tmp_path, source, **nobody, AUTOTRACK_DIR=place) == "1 ''\n"
    assert (tmp_path / ("store" if chosen else ".autotrack") / "store.db").is_file()


def test_a_relative_place_is_that_of_the_beginning(tmp_path: Path) -> None:
    """Whatever folder the program has changed to before its first run."""
    (tmp_path / "elsewhere").mkdir()
    source = """
import os
import autotrack
os.chdir("elsewhere")
with autotrack.start_run("own"):
    pass
"""
    run_script(tmp_path, source, AUTOTRACK_DIR="records")
    assert (tmp_path / "records" / "journals").is_dir()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    """Reading from a pipe would wait for whoever writes to it; the error says so and the run goes on."""
    path = tmp_path / "odd"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.close()
    else:
        path = Path(os.devnull)
    with autotrack.start_run("own") as run:
        with pytest.raises(InvalidValueError, match="neither a file nor a folder"):
            run.log_artifact(path)
        run.log_text("x", "after.txt")
    assert list(autotrack.get_run("own").artifacts) != []


def test_what_is_left_out_of_a_folder_is_named(tmp_path: Path) -> None:
    """Dead links and pipes are in the capture report; live links are files like others."""
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "a").write_text("a")
    (tree / "live").symlink_to(tree / "below" / "a")
    (tree / "dead").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    with autotrack.start_run("own") as run:
        run.log_artifacts(tree)
    record = autotrack.get_run("own")
    assert [artifact.name for artifact in record.artifacts] == ["below/a", "live"]
    (line,) = [line for line in record.capture_report if line.what == "artifact"]
    assert "dead (a link that leads nowhere), pipe (no file)" in line
    assert line.times == 2


def test_the_recordings_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`log_artifacts(".")` keeps what lies there, but for what autotrack itself has written."""
    monkeypatch.chdir(tmp_path)
    autotrack.configure(dir=tmp_path / ".autotrack")
    (tmp_path / "a").write_text("a")
    with autotrack.start_run("own") as run:
        run.log_artifacts(".")
    record = autotrack.get_run("own")
    assert [artifact.name for artifact in record.artifacts] == ["a"]
    assert any(".autotrack (the recordings themselves)" in line for line in record.capture_report)


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_secrets_in_tags_notes_and_dictionaries_stay_off_the_disk(tmp_path: Path) -> None:
    """They are masked as params are, and the report names them; what the user hands over as text is kept, and named."""
    autotrack.configure(dir=tmp_path / "place")
    secrets = ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "sk-proj-abcdefghijklmnopqrstuvwx12345678"]
    with autotrack.start_run("own") as run:
        run.set_tags({"auth": f"Bearer {secrets[0]}", "team": "vision"})
        run.note(f"the key is {secrets[1]}")
        run.note("a remark")
        run.log_dict({"service": {"api_key": secrets[1], "url": "https://example.org"}}, "config.json")
    record: Any = autotrack.get_run("own")
    assert record.tags == {"auth": "[masked]", "team": "vision"}
    assert [note.text for note in record.notes] == ["[masked]", "a remark"]
    assert json.loads(record.artifacts["config.json"].text()) == {
        "service": {"api_key": "[masked]", "url": "https://example.org"}
    }
    written = bytes_below(tmp_path / "place")
    assert not [secret for secret in secrets if secret.encode() in written]
    told = "\n".join(record.capture_report)
    assert "auth" in told
    assert "a remark was withheld" in told
    assert "config.json, because they look like secrets: service.api_key" in told
    with autotrack.start_run("text") as run:
        run.log_text(f"API_KEY={secrets[1]}", "notes.txt")
    kept = autotrack.get_run("text")
    assert secrets[1] in kept.artifacts["notes.txt"].text()
    assert "notes.txt seems to hold a secret; it is kept as it is" in "\n".join(kept.capture_report)
