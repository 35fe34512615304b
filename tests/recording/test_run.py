"""What a run records: values as they are, or one clear error that names the key."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import datetime
import enum
import functools
import hashlib
import json
import math
import os
import pickle
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack import events as ev
from autotrack.exceptions import ConfigurationError, InvalidValueError
from autotrack.settings import Settings

Recorded = Callable[[], list[Any]]


def rows(events: list[Any], *, system: bool = False) -> list[tuple[dict[str, Any], int]]:
    """Metric rows as (values, step)."""
    return [
        (dict(zip(event.frame.keys, values, strict=True)), step)
        for event in events
        if isinstance(event, ev.MetricRows) and (system or not event.frame.keys[0].startswith("system/"))
        for step, *values in zip(event.steps.tolist(), *(column.tolist() for column in event.values), strict=True)
    ]


def params(events: list[Any]) -> dict[str, Any]:
    return {
        key: json.loads(text) for event in events if isinstance(event, ev.Params) for key, text in event.values.items()
    }


def of(kind: type[Any], events: list[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_run_is_recorded_from_start_to_finish(recorded: Recorded) -> None:
    """Name, experiment, params, tags, metrics, status."""
    with autotrack.start_run("baseline", experiment="digits", params={"lr": 0.1}, tags={"team": "x"}) as run:
        run.log({"loss": 0.5}, step=10)
        assert autotrack.active_run() is run
        assert run.status == "running"
    events = recorded()
    (started,), (finished,) = of(ev.RunStarted, events), of(ev.RunFinished, events)
    assert (started.name, started.experiment, started.kind, started.run) == ("baseline", "digits", "run", run.id)
    assert (started.user, started.host, started.pid) == (
        os.environ.get("USER", started.user),
        started.host,
        os.getpid(),
    )
    assert started.host
    assert finished.status == run.status == "finished"
    assert finished.time >= started.time
    assert params(events) == {"lr": 0.1}
    assert of(ev.Tags, events)[0].values == {"team": "x"}
    assert rows(events) == [({"loss": 0.5}, 10)]
    assert autotrack.active_run() is None


def test_steps_count_by_themselves_and_may_go_back(recorded: Recorded) -> None:
    """Without a step the next one is taken, per group of metrics that are logged together; every point is kept."""
    with autotrack.start_run() as run:
        for _ in range(3):
            run.log({"a": 1.0})
        run.log({"a": 2.0, "b": 1.0})
        run.log({"b": 3.0})
        run.log({"z": 0.0})
        run.log({"a": 1.0}, step=100)
        run.log({"a": 1.0}, step=50)
        run.log({"a": 1.0})
    found = [(tuple(values), step) for values, step in rows(recorded())]
    assert sorted(step for keys, step in found if keys == ("a",)) == [0, 1, 2, 50, 100, 101]
    assert (("a", "b"), 3) in found
    assert (("b",), 4) in found
    assert (("z",), 0) in found


SCALARS: list[tuple[Any, float | int]] = [
    (True, 1), (3, 3), (-(2**63), -(2**63)), (2**63 - 1, 2**63 - 1), (0.1, 0.1), (math.inf, math.inf),
    (-math.inf, -math.inf), (np.float64(0.1), 0.1), (np.float32(0.5), 0.5), (np.float16(0.5), 0.5), (np.int8(-3), -3),
    (np.int64(2**62), 2**62), (np.uint64(7), 7), (np.bool_(True), 1), (np.array(2.5), 2.5), (np.array([2.5]), 2.5),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kept"), SCALARS, ids=lambda value: f"{type(value).__name__}")
def test_numbers_keep_their_value_and_type(recorded: Recorded, given: Any, kept: float | int) -> None:
    """Twice, since the second time takes the short way."""
    with autotrack.start_run() as run:
        run.log({"m": given}, step=1)
        run.log({"m": given}, step=2)
    found = [values["m"] for values, _ in rows(recorded())]
    assert found == [kept, kept]
    assert {type(value) for value in found} == {type(kept) if type(kept) is not bool else int}


def test_nan_stays_nan(recorded: Recorded) -> None:
    """NaN is a value like any other."""
    with autotrack.start_run() as run:
        run.log({"m": math.nan, "n": np.float32("nan")})
    ((values, _),) = rows(recorded())
    assert math.isnan(values["m"])
    assert math.isnan(values["n"])


def test_tensors_and_jax_arrays_are_numbers(recorded: Recorded) -> None:
    """0-d values of torch and JAX in main memory are read."""
    torch = pytest.importorskip("torch")
    with autotrack.start_run() as run:
        run.log({"a": torch.tensor(0.5), "b": torch.tensor(3), "c": torch.tensor(0.25, requires_grad=True)})
        run.log({"d": torch.tensor(0.1, dtype=torch.bfloat16)})
    assert rows(recorded()) == [({"a": 0.5, "b": 3, "c": 0.25}, 0), ({"d": 0.10009765625}, 0)]
    jax = pytest.importorskip("jax")
    with autotrack.start_run() as run:
        run.log({"j": jax.numpy.float32(0.5), "k": jax.numpy.arange(3).sum()})
    assert rows(recorded())[-1] == ({"j": 0.5, "k": 3}, 0)


def test_pandas_scalars_are_numbers(recorded: Recorded) -> None:
    """What comes out of a DataFrame can be logged."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    with autotrack.start_run() as run:
        run.log({"a": frame["a"].max(), "b": frame["b"].mean(), "c": pandas.Series([1, None]).sum()})
    assert rows(recorded()) == [({"a": 2, "b": 1.0, "c": 1.0}, 0)]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"big": 2**63}, "'big'"), ({"z": 1j}, "'z'"), ({"arr": np.zeros(3)}, "'arr' has 3 values"),
        ({"obj": object()}, "'obj'"), ({"none": None}, "'none'"), ({3: 1.0}, "3"), ({"": 1.0}, "''"), ([1], "list"),
        ({"a\0b": 1.0}, "NUL"), ({"k": b"bytes"}, "'k'"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_metric_is_refused_by_name(recorded: Recorded, bad: Any, says: str) -> None:
    """One clear error, and nothing of the call is recorded."""
    with autotrack.start_run() as run:
        with pytest.raises(InvalidValueError) as caught:
            run.log({"ok": 1.0, **bad} if isinstance(bad, dict) else bad)
        assert says in str(caught.value)
    assert rows(recorded()) == []


@pytest.mark.parametrize("step", [0.5, "x", math.nan])
def test_a_step_is_a_whole_number(step: Any) -> None:
    """Fractions of a step are refused; 3.0 is 3."""
    with autotrack.start_run() as run:
        with pytest.raises(InvalidValueError, match="step"):
            run.log({"a": 1.0}, step=step)
        run.log({"a": 1.0}, step=3.0)  # type: ignore[arg-type]
        run.log({"a": 1.0}, step=np.int64(4))  # type: ignore[arg-type]


def test_odd_names_of_metrics_are_kept(recorded: Recorded) -> None:
    """Unicode, spaces, dots and slashes; nested mappings join with a slash."""
    names = ["ä/ö ü", "a.b-c", "verlust 🙂", "x" * 1000]
    with autotrack.start_run() as run:
        run.log(dict.fromkeys(names, 1.0))
        run.log({"val": {"loss": 1.0, "top": {"5": 2.0}}})
    found = rows(recorded())
    assert list(found[0][0]) == names
    assert found[1][0] == {"val/loss": 1.0, "val/top/5": 2.0}


def test_the_time_of_a_point_can_be_given(recorded: Recorded) -> None:
    """As seconds or as an aware datetime."""
    with autotrack.start_run() as run:
        run.log({"a": 1.0}, time=12.5)
        run.log({"a": 1.0}, time=datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc))
    times = [moment for event in of(ev.MetricRows, recorded()) if event.frame.keys == ("a",) for moment in event.times]
    assert times == [12.5, 1577836800.0]


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Config:
    depth: int = 3
    nested: dict[str, Any] = dataclasses.field(default_factory=lambda: {"width": [1, 2]})


def test_params_are_flat_typed_and_revisable(recorded: Recorded) -> None:
    """Nested names get dots; a later value replaces the earlier one."""
    with autotrack.start_run(params={"optimizer": {"name": "adam", "betas": (0.9, 0.999)}}) as run:
        run.log_params({"config": Config(), "color": Color.RED, "path": Path("a/b"), "fn": math.sqrt, "none": None})
        run.log_params({"partial": functools.partial(int, base=2), "space": argparse.Namespace(x=1), "empty": {}})
        run.log_params({"big": 10**40, "nan": math.nan, "inf": -math.inf, "tuple": (1, {2}), "class": dict})
        run.log_params({"np": np.float32(0.5), "array": np.arange(3), "large": np.zeros((50, 50)), "lambda": Color})
        run.log_param("lr", 0.1)
        run.log_param("lr", 0.2)
        run.log_params({"dots.in.name": 1, "sp ace": "ü", 7: "seven"})
    found = params(recorded())
    assert math.isnan(found.pop("nan"))
    assert found == {
        "optimizer.name": "adam", "optimizer.betas": [0.9, 0.999], "config.depth": 3, "config.nested.width": [1, 2],
        "color": "RED", "path": "a/b", "fn": "math.sqrt", "none": None, "partial": "int(base=2)", "space.x": 1,
        "empty": {}, "big": 10**40, "inf": -math.inf, "tuple": [1, [2]], "class": "dict", "np": 0.5,
        "array": [0, 1, 2], "large": "<ndarray of shape (50, 50) and dtype float64>", "lambda": "test_run.Color",
        "lr": 0.2, "dots.in.name": 1, "sp ace": "ü", "7": "seven",
    } | {"lambda": f"{Color.__module__}.Color"}  # fmt: skip


def test_an_object_is_kept_without_its_address(recorded: Recorded) -> None:
    """Two runs of one script must not differ by where memory lay; a failing repr harms nothing."""

    class Plain:
        pass

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with autotrack.start_run() as run:
        run.log_params({"plain": Plain(), "broken": Broken()})
    found = params(recorded())
    assert "0x" not in found["plain"]
    assert "Plain" in found["plain"]
    assert "RuntimeError" in found["broken"]


def test_params_that_contradict_themselves_are_refused() -> None:
    """The same flat name twice, a mapping that contains itself, no mapping at all."""
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with autotrack.start_run() as run:
        for bad in ({"a": {"b": 1}, "a.b": 2}, loop, [1]):
            with pytest.raises(InvalidValueError):
                run.log_params(bad)  # type: ignore[arg-type]


def test_a_hundred_thousand_params_are_kept(recorded: Recorded) -> None:
    """There is no limit on their number."""
    with autotrack.start_run() as run:
        run.log_params({f"p{index}": index for index in range(100_000)})
    assert len(params(recorded())) == 100_000


def test_a_long_value_is_kept_whole(recorded: Recorded, place: Path) -> None:
    """As an artifact, with a preview as the value."""
    text = "ü" * 100_000
    with autotrack.start_run() as run:
        run.log_params({"prompt": text})
    events = recorded()
    (artifact,) = (event for event in of(ev.Artifact, events) if event.name.startswith("params/"))
    assert json.loads((place / "blobs" / artifact.digest[:2] / artifact.digest).read_text()) == text
    assert params(events)["prompt"] == text[: len(params(events)["prompt"]) - 1] + "…" or params(events)[
        "prompt"
    ].endswith("…")
    assert any(event.what == "params" for event in of(ev.Report, events))


def test_secrets_in_params_are_masked(recorded: Recorded) -> None:
    """By their name, without false hits; the report says which."""
    with autotrack.start_run() as run:
        run.log_params({"api_key": "s3cr3t", "num_memory_tokens": 8, "url": "postgresql://me:s3cr3t@host/db"})
        run.log_params({"use_auth_token": True, "hf_token": None, "note": "key=AKIAIOSFODNN7EXAMPLE1 and more"})
    events = recorded()
    assert "s3cr3t" not in repr(events)
    assert params(events)["num_memory_tokens"] == 8
    assert params(events)["use_auth_token"] is True
    assert params(events)["hf_token"] is None
    assert any("api_key" in event.message for event in of(ev.Report, events))


def test_artifacts_are_kept_as_they_were(recorded: Recorded, place: Path, tmp_path: Path) -> None:
    """A file that changes afterwards stays as it was; a folder keeps its structure; same bytes are stored once."""
    report = tmp_path / "report.txt"
    report.write_text("one")
    folder = tmp_path / "out" / "deep"
    folder.mkdir(parents=True)
    (folder / "same.txt").write_text("one")
    with autotrack.start_run() as run:
        run.log_artifact(report)
        report.write_text("two")
        run.log_artifact(report, "reports/second.txt", step=3, meta={"a": 1})
        run.log_artifact(tmp_path / "out")
        run.log_text("text", "notes/a.txt")
        run.log_dict({"a": [1, math.inf]}, "a.json")
        with pytest.raises(FileNotFoundError):
            run.log_artifact(tmp_path / "missing")
        for bad in ("/absolute", "../up", "a//b", ""):
            with pytest.raises(InvalidValueError):
                run.log_text("x", bad)
    found = {event.name: event for event in of(ev.Artifact, recorded()) if event.kind == "artifact"}
    assert set(found) == {"report.txt", "reports/second.txt", "out/deep/same.txt", "notes/a.txt", "a.json"}
    assert found["report.txt"].digest == found["out/deep/same.txt"].digest
    assert found["reports/second.txt"].step == 3
    for event in found.values():
        blob = place / "blobs" / event.digest[:2] / event.digest
        assert blob.stat().st_size == event.size
    assert (place / "blobs" / found["report.txt"].digest[:2] / found["report.txt"].digest).read_text() == "one"
    assert not list((place / "blobs" / "new").iterdir())


def test_figures_tables_and_texts_are_media(recorded: Recorded, place: Path) -> None:
    """By `log` at a step, or by their own verbs."""
    figure_module = pytest.importorskip("matplotlib.figure")
    image_module = pytest.importorskip("PIL.Image")
    graph_objects = pytest.importorskip("plotly.graph_objects")
    pandas = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    figure = figure_module.Figure()
    figure.subplots().plot([1, 2, 3])
    with autotrack.start_run() as run:
        run.log({"loss": 1.0, "samples": figure, "text": "hello"}, step=3)
        run.log({"image": image_module.new("RGB", (4, 4))}, step=4)
        run.log_figure("plotly", graph_objects.Figure(data=graph_objects.Scatter(y=[1, 2])))
        run.log_table("errors", pandas.DataFrame({"a": [1, 2], "b": ["x", None]}))
        run.log_table("rows", [{"a": 1}, {"a": 2}])
        run.log_table("columns", {"a": [1, 2]})
        with pytest.raises(InvalidValueError, match="errors"):
            run.log_table("errors", 3)
        with pytest.raises(InvalidValueError, match="roc"):
            run.log_figure("roc", object())
    media = {event.key: event for event in of(ev.Media, recorded())}
    assert {key: event.kind for key, event in media.items()} == {
        "samples": "figure", "text": "text", "image": "image", "plotly": "figure", "errors": "table",
        "rows": "table", "columns": "table",
    }  # fmt: skip
    assert media["samples"].step == 3
    table = parquet.read_table(place / "blobs" / media["errors"].digest[:2] / media["errors"].digest)
    assert table.to_pydict() == {"a": [1, 2], "b": ["x", None]}
    assert rows(recorded()) == [({"loss": 1.0}, 3)]


def test_datasets_are_described_not_kept(recorded: Recorded) -> None:
    """Shape, columns and a fingerprint that changes with the data; generators are left alone."""
    pandas = pytest.importorskip("pandas")
    data = np.arange(12.0).reshape(4, 3)
    generator = (item for item in range(3))
    with autotrack.start_run() as run:
        run.log_dataset(data, name="a", role="train")
        run.log_dataset(data + 1, name="b", version="2", source="s3://user:pw@bucket/x")
        run.log_dataset(pandas.DataFrame({"x": [1], "y": ["a"]}), name="frame")
        run.log_dataset(generator, name="generator")
    assert list(generator) == [0, 1, 2]
    found = {event.name: event for event in of(ev.Dataset, recorded())}
    assert found["a"].meta["shape"] == [4, 3]
    assert found["a"].role == "train"
    assert len(found["a"].digest) == 64
    assert found["a"].digest != found["b"].digest
    assert "pw" not in found["b"].source
    assert found["frame"].meta["names"] == ["x", "y"]
    assert found["generator"].digest == ""


def test_tags_notes_and_names(recorded: Recorded) -> None:
    """Tags are text and can be removed; notes add up; a run can be renamed."""
    with autotrack.start_run("a") as run:
        run.set_tags({"n": 1, "gone": "x"})
        run.set_tag("gone", None)
        run.note("first")
        run.rename("b")
    events = recorded()
    assert [event.values for event in of(ev.Tags, events)] == [{"n": "1", "gone": "x"}, {"gone": None}]
    assert [event.text for event in of(ev.Note, events)] == ["first"]
    assert of(ev.RunRenamed, events)[0].name == run.name == "b"


def test_nested_runs_have_a_parent(recorded: Recorded) -> None:
    """A run inside a run is its child and inherits the experiment; afterwards the outer one is active again."""
    with autotrack.start_run("outer", experiment="e") as outer:
        with autotrack.start_run("inner") as inner:
            assert autotrack.active_run() is inner
        assert autotrack.active_run() is outer
        child = autotrack.start_run("other", parent=inner)
        child.finish()
    assert {event.name: (event.parent, event.experiment) for event in of(ev.RunStarted, recorded())} == {
        "outer": (None, "e"), "inner": (outer.id, "e"), "other": (inner.id, "e"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError("no"), "failed", None), (KeyboardInterrupt(), "killed", None), (SystemExit(0), "finished", 0),
        (SystemExit(), "finished", 0), (SystemExit(3), "failed", 3), (SystemExit("msg"), "failed", 1),
    ],
)  # fmt: skip
def test_how_the_block_ends_is_the_status(
    recorded: Recorded, error: BaseException, status: str, code: int | None
) -> None:
    """The exception passes, unchanged."""
    with pytest.raises(type(error)) as caught, autotrack.start_run():
        raise error
    assert caught.value is error
    (finished,) = of(ev.RunFinished, recorded())
    assert (finished.status, finished.exit_code) == (status, code)
    if status == "failed":
        assert finished.failure.type == type(error).__name__
        assert "test_how_the_block_ends" in finished.failure.traceback


def test_a_run_finishes_once(recorded: Recorded) -> None:
    """Later facts are kept, a later finish is not; nonsense is refused."""
    run = autotrack.start_run()
    with pytest.raises(InvalidValueError, match="exploded"):
        run.finish("exploded")  # type: ignore[arg-type]
    run.finish("failed")
    run.finish("finished")
    run.log({"late": 1.0})
    events = recorded()
    assert [event.status for event in of(ev.RunFinished, events)] == ["failed"]
    assert rows(events) == [({"late": 1.0}, 0)]


def test_late_facts_go_to_the_last_run_else_to_an_implicit_one(recorded: Recorded) -> None:
    """`autotrack.log` without a run opens one only if nothing came before; the next run closes it."""
    autotrack.log({"a": 1.0})
    implicit = autotrack.active_run()
    assert implicit is not None
    with autotrack.start_run("named") as named:
        assert implicit.status == "finished"
        assert named.parent is None
    autotrack.log({"late": 2.0})
    autotrack.log_params({"late": 1})
    events = recorded()
    late = [event for event in of(ev.MetricRows, events) if event.frame.keys == ("late",)]
    assert late[0].run == named.id
    assert len(of(ev.RunStarted, events)) == 2
    assert named.status == "finished"


@pytest.mark.parametrize("around", [False, True])
def test_runs_of_tasks_side_by_side_are_siblings(around: bool) -> None:
    """Their parent is the run that was active where the tasks were made, if there was one."""

    async def one(number: int) -> None:
        with autotrack.start_run(f"task-{number}") as run:
            for step in range(3):
                run.log({"v": number}, step=step)
                await asyncio.sleep(0)

    async def every() -> None:
        await asyncio.gather(one(0), one(1), one(2))

    with autotrack.start_run("around") if around else nullcontext() as outer:
        asyncio.run(every())
    tasks = [record for record in autotrack.runs(all=True) if record.name.startswith("task")]
    assert [record.parent for record in tasks] == [outer.id if outer is not None else None] * 3
    assert {record.name: record.metrics["v"].last for record in tasks} == {f"task-{n}": n for n in range(3)}


def test_a_run_that_a_finished_task_left_open_is_found() -> None:
    """As one from an earlier cell of a notebook."""

    async def cells() -> str | None:
        async def opens() -> None:
            autotrack.start_run("left")

        await asyncio.create_task(opens())
        found = autotrack.active_run()
        return None if found is None else found.name

    assert asyncio.run(cells()) == "left"
    autotrack.finish()


def test_threads_and_tasks_have_their_own_active_run() -> None:
    """A thread with a run of its own logs there; one without logs to the main thread's."""
    seen: dict[str, Any] = {}
    with autotrack.start_run("main") as main:

        def own() -> None:
            with autotrack.start_run("thread") as run:
                seen["own"] = (autotrack.active_run() is run, run.parent)

        def borrowed() -> None:
            seen["borrowed"] = autotrack.active_run() is main

        for target in (own, borrowed):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

        async def task(name: str) -> bool:
            with autotrack.start_run(name) as run:
                await asyncio.sleep(0.01)
                return autotrack.active_run() is run

        async def both() -> list[bool]:
            return list(await asyncio.gather(task("a"), task("b")))

        assert asyncio.run(both()) == [True, True]
        assert autotrack.active_run() is main
    assert seen == {"own": (True, main.id), "borrowed": True}


def test_a_run_can_be_handed_to_others_by_pickle(recorded: Recorded) -> None:
    """The copy adds facts and never changes the status."""
    with autotrack.start_run("a") as run:
        copy = pickle.loads(pickle.dumps(run))
        copy.log({"from_copy": 1.0})
        copy.finish("failed")
        assert run.status == "running"
    events = recorded()
    assert [event.status for event in of(ev.RunFinished, events)] == ["finished"]
    assert rows(events) == [({"from_copy": 1.0}, 0)]


def test_names_count_up(recorded: Recorded) -> None:
    """Unnamed runs get the experiment's name and a number."""
    autotrack.set_experiment("digits")
    for _ in range(3):
        autotrack.start_run().finish()
    started = of(ev.RunStarted, recorded())
    assert [event.name for event in started] == ["digits-1", "digits-2", "digits-3"]
    assert {event.experiment for event in started} == {"digits"}


def test_settings_in_code_hold_for_later_runs(tmp_path: Path, recorded: Recorded) -> None:
    """`configure` names what it does not know, and does not move open runs."""
    autotrack.configure(experiment="e", tags={"a": "b"})
    with autotrack.start_run("x"), pytest.raises(ConfigurationError, match="open"):
        autotrack.configure(dir=tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="unknown setting 'colour'"):
        autotrack.configure(colour="red")
    with pytest.raises(ConfigurationError, match="exit_timeout"):
        autotrack.configure(exit_timeout="soon")
    events = recorded()
    assert of(ev.RunStarted, events)[0].experiment == "e"
    assert of(ev.Tags, events)[0].values == {"a": "b"}
    autotrack.configure(dir=tmp_path / "elsewhere")
    autotrack.start_run().finish()
    assert (tmp_path / "elsewhere" / "journals").is_dir()


def test_every_setting_can_be_given_as_text() -> None:
    """As the environment gives it: there is a way to read each kind of setting that there is."""
    read = {
        "str | None": ("x", "x"), "float": ("2", 2.0), "bool": ("on", True), "int | None": ("2GB", 2 << 30),
        "tuple[str, ...]": ("a, b", ("a", "b")), "Mapping[str, str]": ("team=vision", {"team": "vision"}),
        "Mapping[str, bool]": ("-git,seeds", {"git": False, "seeds": True}),
    }  # fmt: skip
    for setting in fields(Settings):
        text, value = read[str(setting.type)]
        assert getattr(Settings().with_changes({setting.name: text}), setting.name) == value


def test_off_means_off(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With AUTOTRACK=0 every verb does nothing and nothing is written."""
    monkeypatch.setenv("AUTOTRACK", "0")
    autotrack.configure(enabled=True)
    file = tmp_path / "a.txt"
    file.write_text("x")
    with autotrack.start_run("a", params={"a": 1}) as run:
        run.log({"a": 1.0})
        run.log({"a": object()})
        run.log_artifact(file)
        run.log_model(object())
        assert run.log_bytes(b"x", "x.bin") == hashlib.sha256(b"x").hexdigest()
        autotrack.log({"a": 1.0})
        autotrack.note("x")
    autotrack.log_params({"a": 1})
    assert not place.exists()


def test_paused_skips_a_block(recorded: Recorded) -> None:
    """In this thread; before and after it is recorded."""
    with autotrack.start_run() as run:
        run.log({"a": 1.0}, step=1)
        with autotrack.paused():
            run.log({"a": 1.0}, step=2)
            run.log_params({"x": 1})
            run.record_model("m", "custom", {"m.bin": b"x" * 100}, {})
            autotrack.log({"a": 1.0}, step=3)
        run.log({"a": 1.0}, step=4)
    events = recorded()
    assert [step for _, step in rows(events)] == [1, 4]
    assert params(events) == {}
    assert run.collector.model_bytes[run.id] == 0


def test_a_folder_with_a_name_that_cannot_be_kept_is_refused_whole(recorded: Recorded, tmp_path: Path) -> None:
    """No file of it is recorded, neither."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("a.txt", "b" * 200 + ".txt"):
        (folder / name).write_text("x")
    with autotrack.start_run() as run, pytest.raises(InvalidValueError):
        run.log_artifacts(folder, "c" * 900)
    assert of(ev.Artifact, recorded()) == []


def test_two_metric_shapes_with_the_same_names_are_both_kept(recorded: Recorded) -> None:
    """An int now and a float later: each point keeps its own type."""
    with autotrack.start_run() as run:
        run.log({"n": 1})
        run.log({"n": 1.5})
        run.log({"n": 2**60 + 1})
    assert sorted(values["n"] for values, _ in rows(recorded())) == [1, 1.5, 2**60 + 1]


def test_mutating_a_logged_dict_changes_nothing(recorded: Recorded) -> None:
    """What was logged was the value at that moment."""
    values = {"a": 1.0}
    with autotrack.start_run() as run:
        for step in range(3):
            values["a"] = float(step)
            run.log(values, step=step)
        values.clear()
    assert [found["a"] for found, _ in rows(recorded())] == [0.0, 1.0, 2.0]


def test_large_models_are_recorded_by_digest_only(recorded: Recorded, place: Path) -> None:
    """Beyond the limit of one, or of all together; the capture report names the option that lifts it."""
    autotrack.configure(model_limit=1000, models_per_run_limit=1500)
    with autotrack.start_run() as run:
        run.record_model("big", "custom", {"a.bin": b"x" * 1001}, {})
        for name in ("one", "two", "three"):
            run.record_model(name, "custom", {f"{name}.bin": name.encode() * 150}, {})
    events = recorded()
    models = {event.name: event.stored for event in of(ev.Model, events)}
    assert models == {"big": False, "one": True, "two": True, "three": False}
    for event in of(ev.Artifact, events):
        if event.kind == "model":
            assert (place / "blobs" / event.digest[:2] / event.digest).exists() == event.stored
    messages = [event.message for event in of(ev.Report, events) if event.what == "model"]
    assert any("model_limit=None" in message for message in messages)
    assert any("models_per_run_limit=None" in message for message in messages)
