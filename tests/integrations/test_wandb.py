"""What a program logs to W&B is recorded here as well, and W&B keeps exactly what it keeps without us."""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import autotrack

SCRIPT = Path(__file__).with_name("wandb_script.py")

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed"),
]


@pytest.fixture(scope="module")
def finished(run_twice: Callable[..., Path]) -> Path:
    """The folder in which the script ran twice at once: `with` autotrack, which recorded it, and `without`."""
    return run_twice(SCRIPT)


@pytest.fixture
def run(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A record by its name."""
    monkeypatch.setenv("AUTOTRACK_DIR", str(finished / ".autotrack"))
    return autotrack.get_run


def entries(data: bytes) -> Iterator[bytes]:
    """The entries of a log in LevelDB's format: blocks of 32 KiB, parts of entries with a head of 7 bytes each."""
    position, entry = 0, b""
    while position + 7 <= len(data):
        room = 32768 - (position + 7) % 32768  # the file's own head of 7 bytes counts in the first block
        if room < 7:
            position += room
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        entry += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield entry
            entry = b""


def kept(path: Path) -> list[Any]:
    """What lies in one of W&B's own files: points, configuration and summary, in order, without the times."""
    from wandb.proto import wandb_internal_pb2

    found: list[Any] = []
    for data in entries(path.read_bytes()[7:]):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            found.append([kind, {key: value for key, value in items.items() if key not in ("_timestamp", "_runtime")}])
        elif kind == "config":
            found.append(
                [kind, {item.key or "/".join(item.nested_key): item.value_json for item in record.config.update}]
            )
        elif kind == "run":
            config = {item.key: item.value_json for item in record.run.config.update if item.key != "_wandb"}
            found.append([kind, record.run.display_name, config, list(record.run.tags), record.run.notes])
        elif kind == "exit":
            found.append([kind, record.exit.exit_code])
    for entry in found:
        for part in entry:
            if isinstance(part, dict):
                for key in [key for key in part if key.startswith("_wandb")]:
                    del part[key]
                for key, value in part.items():
                    if "sha256" in str(value):
                        part[key] = "a file"
    return found


def points(record: Any, metric: str) -> list[tuple[int, float]]:
    """Steps and values of a metric."""
    history = record.history(metric)
    return list(zip(history["step"], history["value"], strict=True))


def test_wandb_keeps_what_it_keeps_without_us(finished: Path) -> None:
    """Points, configuration, tags, notes and exit codes in W&B's own files are the same."""
    with_us, without = (
        {path.stem: kept(path) for path in sorted((finished / word).rglob("*.wandb"))} for word in ("with", "without")
    )
    assert len(without) == 5
    assert ["history", {"loss": "0.5", "nested/a": "1", "_step": "1"}] in without["run-first"]
    assert with_us == without
    assert json.loads((finished / "with" / "untouched.json").read_text())


def test_a_run_of_theirs_is_a_run_of_ours(run: Callable[[str], Any]) -> None:
    """Name, project, notes, group and the configuration, whichever way it was set."""
    record = run("baseline")
    assert (record.status, record.experiment) == ("finished", "demo")
    assert dict(record.params) == {
        "lr": 0.2, "layers": [64, 64], "epochs": 3, "batch": 16, "optimizer.name": "adam", "seed": 7,
    }  # fmt: skip
    assert record.tags.items() >= {"wandb.run_id": "first", "wandb.tags": "a, b", "wandb.group": "study"}.items()
    assert [note.text for note in record.notes] == ["by hand"]
    assert run("namespace").params["width"] == 3


def test_points_have_the_steps_that_wandb_gives_them(run: Callable[[str], Any]) -> None:
    """Steps count on their own, an uncommitted row shares its step with the next, a chosen one is kept."""
    record = run("baseline")
    assert points(record, "loss")[:3] == [(0, 1.0), (1, 0.5), (2, 1.0 / 3)]
    assert record.history("loss")["step"].iloc[3] == 10
    assert record.history("loss")["value"].isna().iloc[3]
    assert points(record, "nested.a") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert points(record, "half") == [(3, 0.5)]
    assert points(record, "float32") == [(10, 2.0)]
    assert points(record, "last") == [(11, 1.0)]


def test_pictures_texts_and_files_come_along_and_the_rest_is_named(run: Callable[[str], Any]) -> None:
    """What has no place here is in the capture report."""
    record = run("baseline")
    assert {media.key: media.kind for media in record.media} == {"picture": "image", "word": "text"}
    assert record.artifacts["files/report.txt"].text() == "all good"
    assert "wandb: html was not taken: a Html has no place here" in map(str, record.capture_report)


def test_a_run_that_fails_is_failed(run: Callable[[str], Any]) -> None:
    """An exception, or an exit code that is not zero."""
    record = run("broken")
    assert (record.status, record.failure_type, record.failure_message) == ("failed", "ValueError", "no such luck")
    assert run("namespace").status == "failed"


def test_inside_an_open_run_it_goes_there(run: Callable[[str], Any]) -> None:
    """A run of theirs inside the user's is part of it, and does not end it."""
    record = run("mine")
    assert (record.status, record.params["depth"], record.tags["wandb.name"]) == ("finished", 2, "inside")
    assert points(record, "loss") == [(0, 0.5)]


def test_what_follows_the_switching_off_is_not_heard(run: Callable[[str], Any]) -> None:
    """After `autolog(disable=True)` nothing of ours is in the way."""
    names = {record.name for record in autotrack.runs(all=True)}
    assert names == {"baseline", "broken", "namespace", "mine"}
