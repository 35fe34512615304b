"""One run as readers hold it: typed, complete, and open to what people add later."""

from __future__ import annotations

import hashlib
import json
import math
import os
from datetime import datetime, timezone
from typing import Any

import pytest

from autotrack import events
from autotrack.exceptions import IntegrityError, InvalidValueError, NotFoundError, StoreError
from autotrack.query.params import Params, from_json
from autotrack.query.queries import find_runs, get_record

BOTH = pytest.mark.parametrize("seed", ["sqlite", "postgresql"], indirect=True)


def blob(seed: Any, content: bytes) -> str:
    """Keep bytes as a training process does; returns their digest."""
    digest = hashlib.sha256(content).hexdigest()
    place = seed.store.place.blobs / digest[:2] / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return digest


def file(digest: str, name: str, **changes: Any) -> dict[str, Any]:
    """A row of `artifacts`."""
    return {
        "name": name, "kind": "artifact", "digest": digest, "size": 3, "media_type": "text/plain", "step": None,
        "time": 5_000_000, "source": "/tmp/x", "stored": True, "meta": "{}", **changes,
    }  # fmt: skip


@BOTH
def test_what_a_run_is(seed: Any) -> None:
    """Identity, times, outcome: as recorded, times in UTC."""
    parent = seed("parent")
    seed(
        "it", parent=parent, kind="trial", started=1_700_000_000_123_456, exit_code=1, status="failed", duration=1.5,
        failure_type="ValueError", failure_message="no", traceback="Traceback…", attempt=2, experiment="iris",
    )  # fmt: skip
    record = get_record(seed.store, "it")
    assert (record.name, record.kind, record.parent, record.experiment) == ("it", "trial", parent, "iris")
    assert record.started == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=timezone.utc)
    assert record.ended == datetime(2023, 11, 14, 22, 13, 25, 123456, tzinfo=timezone.utc)
    assert (record.status, record.exit_code, record.duration, record.attempt) == ("failed", 1, 1.5, 2)
    assert (record.failure_type, record.failure_message, record.traceback) == ("ValueError", "no", "Traceback…")
    assert (record.user, record.host, record.pid) == ("ann", "box", 7)
    assert record == get_record(seed.store, record.id)
    assert len({record, get_record(seed.store, "it")}) == 1
    assert repr(record) == f"<Record it ({record.id[:8]}) failed>"


def test_params_come_back_as_they_were(seed: Any) -> None:
    """Numbers, bools, None, lists, ints of any size and NaN keep value and type."""
    values = {
        "lr": 0.1, "epochs": 3, "big": 2**200, "flag": True, "none": None, "betas": [0.9, 0.999], "name": "ädam",
        "inf": math.inf, "optimizer.name": "adam", "optimizer.lr": 1e-4,
    }  # fmt: skip
    seed("it", params={**values, "nan": math.nan})
    params = get_record(seed.store, "it").params
    assert {key: params[key] for key in values} == values
    assert type(params["epochs"]) is int
    assert math.isnan(params["nan"])
    assert params["flag"] is True
    assert params.get("missing") is None
    assert "lr" in params
    assert len(params) == 11
    assert params.nested()["optimizer"] == {"name": "adam", "lr": 1e-4}


def test_set_params_come_first() -> None:
    """What the user chose is before defaults, and those before whole configurations; each says which it is."""
    params = Params([("config.a", "1", "config"), ("z", "2", "set"), ("b", "3", "default"), ("c", "4", "set")])
    assert list(params) == ["c", "z", "b", "config.a"]
    assert [params.origin(key) for key in params] == ["set", "set", "default", "config"]
    assert params.of_origin("set") == {"c": 4, "z": 2}
    with pytest.raises(KeyError):
        params.origin("missing")


def test_nested_params_with_a_value_in_the_way() -> None:
    """A key that is a value and has others below it loses neither; logged empty dicts stay what they are."""
    params = Params([("a", "1", "set"), ("a.b", "2", "set"), ("a.b.c", "3", "set"), ("e", "{}", "set")])
    assert params.nested() == {"a": {"": 1, "b": {"": 2, "c": 3}}, "e": {}}


def test_ints_of_more_digits_than_python_reads() -> None:
    """An int of 10,000 digits comes back exactly."""
    assert from_json("[1" + "0" * 10_000 + "]") == [10**10_000]
    assert from_json("-1" + "0" * 10_000) == -(10**10_000)


@BOTH
def test_metrics_in_short(seed: Any) -> None:
    """Each metric has its first, last, least and greatest value, and where these were; NaN is kept."""
    seed(
        "it", metrics={"loss": [0.9, 0.1, 0.4], "system/cpu": 50.0, "bad": [math.nan, 1.0, math.nan], "worst": math.nan}
    )
    metrics = get_record(seed.store, "it").metrics
    assert list(metrics) == ["bad", "loss", "worst", "system/cpu"]
    loss = metrics["loss"]
    assert (loss.first, loss.last, loss.min, loss.max, loss.count) == (0.9, 0.4, 0.1, 0.9, 3)
    assert (loss.first_step, loss.last_step, loss.min_step, loss.max_step) == (0, 2, 1, 0)
    assert float(loss) == 0.4
    assert f"{loss:.2f}" == "0.40"
    assert loss.last_time is not None
    assert loss.first_time is not None
    assert (loss.last_time - loss.first_time).total_seconds() == 2
    assert math.isnan(metrics["bad"].last)
    assert (metrics["bad"].min, metrics["bad"].nans) == (1.0, 2)
    assert math.isnan(metrics["worst"].max)


AT = {"run": "", "time": 0.0}


def test_the_context_of_a_run(seed: Any) -> None:
    """Sections of the environment are dicts that know what was masked, notes and attempts come in order."""
    attempt = {"user": "ann", "host": "box", "pid": 1, "journal": "j", "status": "finished"}
    seed(
        "it",
        sections={"git": {"commit": "abc", "dirty": True}, "packages": {"torch": "2.1"}},
        environment=[
            events.Section(**AT, name="process", data={"python": "3.10"}),
            events.Section(**AT, name="process", data={"python": "3.11"}, attempt=2, masked=["env.TOKEN"]),
            events.Section(**AT, name="hardware", data={}, unavailable="no psutil"),
        ],
        tags={"team": "x"},
        rows={
            "notes": [
                {"time": 2_000_000, "text": "second", "user": "b"},
                {"time": 1_000_000, "text": "first", "user": "a"},
            ],
            "reports": [
                {"time": 1, "what": "git", "message": "no repository", "level": "missing", "count": 1},
                {"time": 2, "what": "loss", "message": "is text", "level": "info", "count": 3},
            ],
            "attempts": [{"attempt": 2, **attempt}, {"attempt": 1, **attempt, "status": "killed"}],
            "trainings": [
                {"number": 1, "name": "SVC", "framework": "sklearn", "kind": "training", "status": "finished"}
            ],
            "console": [{"time": 1, "stream": "stdout", "text": "a\n"}, {"time": 2, "stream": "stderr", "text": "b\n"}],
        },
    )
    record = get_record(seed.store, "it")
    assert record.environment["process"] == {"python": "3.11"}, "the latest attempt"
    assert record.environment["process"].masked == ("env.TOKEN",)
    assert record.environment["hardware"].unavailable == "no psutil"
    assert record.git["commit"] == "abc"
    assert record.packages == {"torch": "2.1"}
    assert record.tags == {"team": "x"}
    assert [str(note) for note in record.notes] == ["first", "second"]
    assert record.capture_report == ["git: no repository", "loss: is text (3 times)"]
    assert [line.level for line in record.capture_report] == ["missing", "info"]
    assert [(attempt.number, attempt.status) for attempt in record.attempts] == [(1, "killed"), (2, "finished")]
    assert [training.framework for training in record.trainings] == ["sklearn"]
    assert record.console == "a\nb\n"
    bare = get_record(seed.store, seed("bare"))
    assert (bare.git, bare.packages, bare.notes, bare.capture_report) == ({}, {}, [], [])


def test_files(seed: Any, tmp_path: Any) -> None:
    """Files are found by name, read, copied, and checked against their digest."""
    old, new, lost = blob(seed, b"old"), blob(seed, b"new"), "0" * 64
    seed(
        "it",
        rows={
            "artifacts": [
                file(old, "report.txt"),
                file(new, "report.txt"),
                file(lost, "far/weights.bin", stored=False, source="/data/weights.bin"),
                file(new, "model/model.skops", kind="model", meta='{"a": 1}'),
            ],
            "media": [
                {
                    "key": "samples", "kind": "image", "step": 3, "time": 1, "digest": new, "size": 3,
                    "media_type": "image/png", "meta": "{}",
                }
            ],
            "models": [
                {
                    "name": "model", "flavor": "sklearn", "digest": new, "size": 3, "stored": True, "time": 1,
                    "meta": '{"class": "SVC"}',
                }
            ],
        },
    )  # fmt: skip
    record = get_record(seed.store, "it")
    assert [found.name for found in record.artifacts] == ["far/weights.bin", "model/model.skops", "report.txt"]
    report = record.artifacts["report.txt"]
    assert (report.version, report.read(), report.text()) == (2, b"new", "new")
    assert report.path().read_bytes() == b"new"
    assert [version.read() for version in record.artifact_versions("report.txt")] == [b"old", b"new"]
    assert report.download(tmp_path / "deep" / "copy.txt").read_bytes() == b"new"
    assert record.artifacts["model/model.skops"].download(tmp_path) == tmp_path / "model" / "model.skops"
    assert record.artifacts["model/model.skops"].meta == {"a": 1}
    assert record.media[0].download(f"{tmp_path}/").name == "samples-3.png"
    assert [found.name for found in record.models["model"].files] == ["model/model.skops"]
    assert record.models[0].meta == {"class": "SVC"}
    with pytest.raises(NotFoundError, match=r"/data/weights\.bin"):
        record.artifacts["far/weights.bin"].read()
    with pytest.raises(NotFoundError, match=r"report\.txt"):
        record.artifacts["reprt.txt"]
    with pytest.raises(NotFoundError, match="nothing"):
        record.artifact_versions("nothing")
    path = report.path()
    os.chmod(path, 0o600)
    path.write_bytes(b"bad")
    with pytest.raises(IntegrityError):
        report.read()
    with pytest.raises(IntegrityError):
        report.download(tmp_path / "bad.txt")
    assert not (tmp_path / "bad.txt").exists()


def test_data_and_evaluations(seed: Any) -> None:
    """Data sets and small tables come back whole."""
    table = {"label": ["a", "b"], "f1": [0.5, math.nan]}
    seed(
        "it",
        rows={
            "datasets": [
                {"name": "digits", "role": "train", "version": "1", "source": "", "digest": "d", "meta": '{"rows": 9}'}
            ],
            "evaluations": [{"name": "per class", "time": 1, "columns": json.dumps(table), "meta": "{}"}],
        },
    )
    record = get_record(seed.store, "it")
    assert (record.datasets["digits"].role, record.datasets[0].meta) == ("train", {"rows": 9})
    columns = record.evaluations["per class"].columns
    assert columns["label"] == ["a", "b"]
    assert math.isnan(columns["f1"][1])


def test_what_people_add_later(seed: Any) -> None:
    """Tags, notes and names of a past run become events, and show in the record at once."""
    run_id = seed("it", tags={"keep": "1", "drop": "2"})
    sent: list[Any] = []
    record = get_record(seed.store, "it", emit=sent.append)
    record.set_tags({"drop": None, "best": True})
    record.note("look at *this*")
    record.rename("champion")
    tags, note, name = sent
    assert isinstance(tags, events.Tags)
    assert isinstance(note, events.Note)
    assert isinstance(name, events.RunRenamed)
    assert {event.run for event in sent} == {run_id}
    assert tags.values == {"drop": None, "best": "True"}
    assert (note.text, name.name) == ("look at *this*", "champion")
    assert record.tags == {"keep": "1", "best": "True"}
    assert record.notes[-1].text == "look at *this*"
    assert record.name == "champion"
    with pytest.raises(InvalidValueError):
        record.rename("")
    with pytest.raises(StoreError, match="reading only"):
        get_record(seed.store, "it").note("x")
    find_runs(seed.store, emit=sent.append)[0].set_tags({"a": "b"})
    assert len(sent) == 4


def test_html_is_escaped(seed: Any) -> None:
    """In a notebook a record and a list of runs show themselves; what was logged cannot become markup."""
    evil = "<script>alert(1)</script>"
    seed(evil, params={evil: evil}, metrics={evil: 0.5}, tags={evil: evil}, experiment=evil, failure_type=evil)
    seed("other", params={evil: 2, "lr": 0.1}, duration=3700.0)
    for html in (get_record(seed.store, "last~1")._repr_html_(), find_runs(seed.store)._repr_html_()):
        assert evil not in html
        assert "&lt;script&gt;" in html
        assert "0.5" in html
    assert "1 h 1 min" in find_runs(seed.store)._repr_html_()
    assert "0 runs" in find_runs(seed.store, "name = nobody")._repr_html_()
