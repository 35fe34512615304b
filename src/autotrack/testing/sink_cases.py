"""The facts that `SinkTestCase` records: for each kind, examples that a careless sink loses."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from autotrack import events
from autotrack.events import Event, Frame

RUN = "run-a"


class Row(NamedTuple):
    """One metric row to append to a journal."""

    values: dict[str, float]
    step: int
    time: float

    @property
    def frame(self) -> Frame:
        """The frame of a row with these keys and types of numbers."""
        types = "".join("q" if isinstance(value, int) else "d" for value in self.values.values())
        return Frame(run=RUN, keys=tuple(self.values), types=types)


Fact = Event | Row


def digest(data: bytes) -> str:
    """The SHA-256 of a file, by which events name it."""
    return hashlib.sha256(data).hexdigest()


_FAILURE = events.Failure(type="builtins.ValueError", message="diverged", traceback="Traceback …")
_CHILD = "run-b"  # a child of the first run
FILES = {name: name.encode() * 7 for name in ("report.html", "weights, first", "weights, second", "image")}


def _at(time: float, **fields: Any) -> dict[str, Any]:
    return {"run": RUN, "time": time, **fields}


def _file(time: float, name: str, content: str, **fields: Any) -> events.Artifact:
    data = FILES[content]
    return events.Artifact(**_at(time, name=name, digest=digest(data), size=len(data), **fields))


STORED = (
    _file(110.0, "report.html", "report.html"),
    _file(111.0, "weights.bin", "weights, first", kind="checkpoint", step=1),
    events.Media(**_at(112.0, key="val/image", kind="image", digest=digest(FILES["image"]), size=35, step=3)),
)
STORED_BYTES = {
    "artifact": {"report.html": FILES["report.html"], "weights.bin": FILES["weights, first"]},
    "media": {"val/image": FILES["image"]},
}
MISSING = events.Artifact(**_at(113.0, name="gone.bin", digest=digest(b"deleted"), size=7, kind="checkpoint"))


#: The facts of each case are recorded after the start of a run, whose end is added unless they contain one. A case is
#: named after the kind of fact that it tests (`Arrived.what`), and after a dot, the aspect of it.
CASES: dict[str, tuple[Fact, ...]] = {
    "started": (),
    "kind": (events.RunStarted(run=_CHILD, time=110.0, name="child", experiment="tests", kind="trial"),),
    "parent": (events.RunStarted(run=_CHILD, time=110.0, name="child", experiment="tests", parent=RUN),),
    "resumed": (
        events.RunFinished(**_at(110.0, status="killed")),
        events.RunResumed(**_at(111.0, attempt=2)),
        events.RunFinished(**_at(112.0, status="finished", attempt=2)),
    ),
    "finished": (events.RunFinished(**_at(110.0, status="preempted")),),
    "failure": (events.RunFinished(**_at(110.0, status="failed", failure=_FAILURE)),),
    "renamed": (events.RunRenamed(**_at(110.0, name="first")), events.RunRenamed(**_at(111.0, name="second"))),
    "training_started": (events.TrainingStarted(**_at(110.0, name="Forest", framework="sklearn", training=1)),),
    "training_finished": (
        events.TrainingStarted(**_at(110.0, name="Forest", framework="sklearn", training=1)),
        events.TrainingFinished(**_at(111.0, status="failed", failure=_FAILURE, training=1)),
    ),
    "param": (events.Params(**_at(110.0, values={"lr": "0.1", "name": '"ä"', "layers": "[1, 2]", "n": "NaN"})),),
    "param.revised": (
        events.Params(**_at(110.0, values={"lr": "0.1", "depth": "3"})),
        events.Params(**_at(111.0, values={"lr": "0.2"})),
    ),
    "param.training": (events.Params(**_at(110.0, values={"C": "0.1"}, training=1)),),
    "origin": (
        events.Params(**_at(110.0, values={"lr": "0.1"})),
        events.Params(**_at(111.0, values={"momentum": "0.9"}, origin="default")),
        events.Params(**_at(112.0, values={"config.activation": '"relu"'}, origin="config")),
    ),
    "tag": (events.Tags(**_at(110.0, values={"team": "x", "empty": ""})),),
    "tag.removed": (
        events.Tags(**_at(110.0, values={"team": "x", "stays": "y"})),
        events.Tags(**_at(111.0, values={"team": None})),
    ),
    "note": (
        events.Note(**_at(110.0, text="a *remark*", user="ann")),
        events.Note(**_at(111.0, text="another one", user="ann")),
    ),
    "section": (
        events.Section(**_at(110.0, name="git", data={"commit": "1f2e", "dirty": True, "remotes": ["origin"]})),
        events.Section(**_at(111.0, name="gpu", unavailable="there is no driver")),
    ),
    "artifact": (
        STORED[0],
        events.Artifact(**_at(111.0, name="huge.bin", digest=digest(b"huge"), size=1 << 40, stored=False)),
    ),
    "artifact.versions": (STORED[1], _file(112.0, "weights.bin", "weights, second", kind="checkpoint", step=2)),
    "artifact.replaced": (
        STORED[0],
        events.Artifact(**_at(111.0, name="late.bin", digest="", size=7, stored=False)),
        _file(112.0, "late.bin", "weights, first", replaces=111.0),
    ),
    "media": (STORED[2],),
    "dataset": (events.Dataset(**_at(110.0, name="iris", role="train", digest="d1", meta={"rows": 150})),),
    "model": (events.Model(**_at(110.0, name="model", flavor="sklearn", digest="d2", size=9, meta={"class": "A"})),),
    "console": (
        events.Console(**_at(110.0, stream="stdout", text="epoch 1\n")),
        events.Console(**_at(111.0, stream="stderr", text="a warning\n")),
        events.Console(**_at(112.0, stream="stdout", text="epoch 2\n")),
    ),
    "report": (events.Report(**_at(110.0, what="git", message="the patch was too long to keep")),),
    "evaluation": (events.Evaluation(**_at(110.0, name="confusion", columns={"label": ["a", "b"], "n": [1, 2]})),),
    "metric": (Row({"loss": 0.1, "tokens": 2**40}, 0, 110.0), Row({"loss": 1e-300, "tokens": -1}, 1, 111.0)),
    "metric.steps": tuple(Row({"loss": step / 8}, step, 110.0 + at) for at, step in enumerate([5, 5, 6, 2, 2, 3])),
    "metric.nonfinite": tuple(
        Row({"loss": float(name)}, step, 110.0 + step) for step, name in enumerate(["nan", "inf", "-inf"])
    ),
}
