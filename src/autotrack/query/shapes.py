"""The one shape in which a run leaves autotrack as JSON: for `--json`, and for whatever else hands runs to a program.

These shapes are stable: fields are added, never renamed or removed. Times are ISO 8601 in UTC
("2026-03-01T12:00:05.123456Z"), durations seconds, sizes bytes. NaN and infinities are the strings "NaN", "Infinity"
and "-Infinity". What is not known is null. `as_json` makes plain data of a shape.
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
    """A metric in short. `min` and `max` skip NaN, which `nans` counts; a step is null where there is no such point."""

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
    """A section of the environment: what was gathered, the names that were masked, why it is not available."""

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
    """What was not captured (`level` "missing"), or a fact about the capture ("info"), and how many times."""

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
    """All that is recorded of a run but its metrics' history. `param_origins` are "set", "default" or "config"."""

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
    """A run in a list."""
    return RunShape(**_run_fields(record))


def whole_run_shape(record: Record) -> WholeRunShape:
    """A run with all that is recorded of it but its metrics' history."""
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
    """A metric in short."""
    return _filled(MetricShape, found)


def model_shape(model: Model) -> ModelShape:
    """A saved model."""
    return _filled(ModelShape, model, files=[file.name for file in model.files])


def failure_shape(record: Record) -> FailureShape | None:
    """The exception that ended the run; None if there was none."""
    if record.failure_type is None:
        return None
    return FailureShape(record.failure_type, record.failure_message, record.traceback)


def as_json(value: Any) -> Any:
    """The value in what JSON has; `TypeError` for one of a type that has no place there."""
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
    """The shape with its fields taken from the attributes of the same names, but for those `computed`."""
    names = (name for name in shape.__struct_fields__ if name not in computed)
    return shape(**{name: getattr(item, name) for name in names}, **computed)
