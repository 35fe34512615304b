"""The JSON shapes of runs, for `--json` and every other interface that passes runs to programs.

These shapes are stable: fields are added, never renamed or removed. Times are ISO 8601 in UTC
("2026-03-01T12:00:05.123456Z"), durations seconds, sizes bytes. NaN and infinities are the strings "NaN", "Infinity"
and "-Infinity". Unknown values are null. `as_json` converts a shape to plain data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from autotrack.query.facets import Summary
    from autotrack.query.files import Model
    from autotrack.query.records import Record

_Shape = TypeVar("_Shape", bound=msgspec.Struct)


class MetricShape(msgspec.Struct, frozen=True):
    """The summary of a metric. `min` and `max` skip NaN, which `nans` counts; a step without its point is null."""

    last: float
    first: float
    min: float
    max: float
    last_step: int | None
    first_step: int | None
    min_step: int | None
    max_step: int | None
    count: int
    nans: int


class RunShape(msgspec.Struct, frozen=True):
    """A run in a list. `parent` is a run's id, `children` counts the runs directly below."""

    id: str
    name: str
    experiment: str
    kind: str
    status: str
    started: datetime | None
    ended: datetime | None
    duration: float | None
    parent: str | None
    children: int
    user: str
    host: str
    attempt: int
    deleted: datetime | None
    params: dict[str, Any]
    metrics: dict[str, MetricShape]
    tags: dict[str, str]


class FailureShape(msgspec.Struct, frozen=True):
    """The exception that ended a run."""

    type: str
    message: str | None
    traceback: str | None


class SectionShape(msgspec.Struct, frozen=True):
    """A section of the environment: its data, the names that were masked, the reason if it is unavailable."""

    data: dict[str, Any]
    masked: tuple[str, ...]
    unavailable: str | None


class NoteShape(msgspec.Struct, frozen=True):
    """A remark, in Markdown."""

    text: str
    user: str
    time: datetime


class ArtifactShape(msgspec.Struct, frozen=True):
    """A file of a run; `digest` is its SHA-256, `source` where it came from, `stored` whether its content is kept."""

    name: str
    version: int
    kind: str
    size: int
    digest: str
    media_type: str
    step: int | None
    time: datetime
    source: str
    stored: bool
    meta: dict[str, Any]
    training: int


class ModelShape(msgspec.Struct, frozen=True):
    """A saved model; `files` are names of artifacts."""

    name: str
    flavor: str
    digest: str
    size: int
    stored: bool
    time: datetime
    meta: dict[str, Any]
    training: int
    files: list[str]


class DatasetShape(msgspec.Struct, frozen=True):
    """Data that went into a run: its fingerprint and shape."""

    name: str
    role: str
    version: str
    source: str
    digest: str
    meta: dict[str, Any]
    training: int


class EvaluationShape(msgspec.Struct, frozen=True):
    """A result that is a small table: its values by column."""

    name: str
    time: datetime
    columns: dict[str, Any]
    meta: dict[str, Any]
    training: int


class MediaShape(msgspec.Struct, frozen=True):
    """An image, sound, … that was logged at a step."""

    key: str
    kind: str
    step: int | None
    time: datetime
    digest: str
    size: int
    media_type: str
    meta: dict[str, Any]
    training: int


class ReportLineShape(msgspec.Struct, frozen=True):
    """A fact that was not captured (`level` "missing"), or a note on the capture ("info"), and how many times."""

    what: str
    message: str
    level: str
    times: int


class AttemptShape(msgspec.Struct, frozen=True):
    """One attempt of a run: where and when a process worked on it, and how that ended."""

    number: int
    status: str
    started: datetime | None
    ended: datetime | None
    user: str
    host: str
    pid: int


class TrainingShape(msgspec.Struct, frozen=True):
    """A training inside a run."""

    number: int
    name: str
    framework: str
    kind: str
    status: str
    started: datetime | None
    ended: datetime | None


class WholeRunShape(RunShape, frozen=True):
    """All recorded facts of a run except metric history. `param_origins` are "set", "default" or "config"."""

    pid: int
    exit_code: int | None
    failure: FailureShape | None
    param_origins: dict[str, str]
    environment: dict[str, SectionShape]
    notes: list[NoteShape]
    artifacts: list[ArtifactShape]
    models: list[ModelShape]
    datasets: list[DatasetShape]
    evaluations: list[EvaluationShape]
    media: list[MediaShape]
    capture_report: list[ReportLineShape]
    attempts: list[AttemptShape]
    trainings: list[TrainingShape]


def run_shape(record: Record) -> RunShape:
    """The shape of a run in a list."""
    return RunShape(**_run_fields(record))


def whole_run_shape(record: Record) -> WholeRunShape:
    """The shape of a run with all recorded facts except metric history."""
    return WholeRunShape(
        **_run_fields(record),
        pid=record.pid,
        exit_code=record.exit_code,
        failure=failure_shape(record),
        param_origins={key: record.params.origin(key) for key in record.params},
        environment={
            name: SectionShape(dict(section), section.masked, section.unavailable)
            for name, section in record.environment.items()
        },
        notes=_each(NoteShape, record.notes),
        artifacts=_each(ArtifactShape, record.artifacts),
        models=[model_shape(model) for model in record.models],
        datasets=_each(DatasetShape, record.datasets),
        evaluations=_each(EvaluationShape, record.evaluations),
        media=_each(MediaShape, record.media),
        capture_report=_each(ReportLineShape, record.capture_report),
        attempts=_each(AttemptShape, record.attempts),
        trainings=_each(TrainingShape, record.trainings),
    )


def metric_shape(found: Summary) -> MetricShape:
    """The shape of the summary of a metric."""
    return _filled(MetricShape, found)


def model_shape(model: Model) -> ModelShape:
    """The shape of a saved model."""
    return _filled(ModelShape, model, files=[file.name for file in model.files])


def failure_shape(record: Record) -> FailureShape | None:
    """The shape of the exception that ended the run; None if there was none."""
    if record.failure_type is None:
        return None
    return FailureShape(record.failure_type, record.failure_message, record.traceback)


def as_json(value: Any) -> Any:
    """Convert a value to plain JSON data; `TypeError` for a type that JSON cannot represent."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, msgspec.Struct):
        return {name: as_json(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): as_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(part) for part in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        return as_json(value.item())
    raise TypeError(f"a {type(value).__name__} has no place in JSON")


def _run_fields(record: Record) -> dict[str, Any]:
    computed: dict[str, Any] = {
        "children": record.child_count,
        "params": dict(record.params),
        "metrics": {key: metric_shape(found) for key, found in record.metrics.items()},
    }
    plain = (name for name in RunShape.__struct_fields__ if name not in computed)
    return {**{name: getattr(record, name) for name in plain}, **computed}


def _each(shape: type[_Shape], items: Iterable[Any]) -> list[_Shape]:
    return [_filled(shape, item) for item in items]


def _filled(shape: type[_Shape], item: Any, **computed: Any) -> _Shape:
    """Create a shape from the attributes of `item` with the names of its fields; `computed` replaces some."""
    names = (name for name in shape.__struct_fields__ if name not in computed)
    return shape(**{name: getattr(item, name) for name in names}, **computed)
