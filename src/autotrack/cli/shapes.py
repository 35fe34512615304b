"""What `--json` prints of a run. These shapes are stable: keys are added, never renamed or removed.

Times are ISO 8601 in UTC ("2026-03-01T12:00:05.123456Z"), durations seconds, sizes bytes. NaN and infinities are
the strings "NaN", "Infinity" and "-Infinity". What is not known is null.

    summary   id, name, experiment, kind, status, started, ended, duration, parent, children, user, host, attempt,
              deleted, params {key: value}, metrics {key: metric}, tags {key: value}
    metric    last, first, min, max (and the step of each: last_step, …), count, nans
    whole     all of summary, and pid, exit_code, failure {type, message, traceback} or null,
              param_origins {key: "set" | "default" | "config"}, notes [{text, user, time}],
              environment {section: {data, masked, unavailable}},
              artifacts [{name, version, kind, size, digest, media_type, step, time, source, stored, meta}],
              models [{name, flavor, digest, size, stored, time, files, meta}],
              datasets [{name, role, version, source, digest, meta}], evaluations [{name, time, columns, meta}],
              media [{key, kind, step, time, digest, size, media_type, meta}],
              capture_report [{what, message, level, times}],
              attempts [{number, status, started, ended, user, host, pid}],
              trainings [{number, name, framework, kind, status, started, ended}]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrack.query.facets import Summary
    from autotrack.query.records import Record

_RUN = ("id", "name", "experiment", "kind", "status", "started", "ended", "duration", "parent")
_WHO = ("user", "host", "attempt", "deleted")
_POINTS = ("last", "first", "min", "max")
_LISTS = {
    "notes": ("text", "user", "time"),
    "artifacts": (
        "name", "version", "kind", "size", "digest", "media_type", "step", "time", "source", "stored", "meta",
        "training",
    ),
    "models": ("name", "flavor", "digest", "size", "stored", "time", "meta", "training"),
    "datasets": ("name", "role", "version", "source", "digest", "meta", "training"),
    "evaluations": ("name", "time", "columns", "meta", "training"),
    "media": ("key", "kind", "step", "time", "digest", "size", "media_type", "meta", "training"),
    "capture_report": ("what", "message", "level", "times"),
    "attempts": ("number", "status", "started", "ended", "user", "host", "pid"),
    "trainings": ("number", "name", "framework", "kind", "status", "started", "ended"),
}  # fmt: skip


def summary(record: Record) -> dict[str, Any]:
    """A run in a list."""
    return {
        **_picked(record, _RUN),
        "children": record.child_count,
        **_picked(record, _WHO),
        "params": dict(record.params),
        "metrics": {key: metric(found) for key, found in record.metrics.items()},
        "tags": record.tags,
    }


def metric(found: Summary) -> dict[str, Any]:
    """A metric in short."""
    steps = [f"{point}_step" for point in _POINTS]
    return _picked(found, (*_POINTS, *steps, "count", "nans"))


def whole(record: Record) -> dict[str, Any]:
    """All that is recorded of a run but its metrics' history."""
    shape = summary(record)
    shape["pid"], shape["exit_code"] = record.pid, record.exit_code
    shape["failure"] = failure(record)
    shape["param_origins"] = {key: record.params.origin(key) for key in record.params}
    shape["environment"] = {
        name: {"data": dict(section), "masked": section.masked, "unavailable": section.unavailable}
        for name, section in record.environment.items()
    }
    for name, fields in _LISTS.items():
        shape[name] = [_picked(item, fields) for item in getattr(record, name)]
    for model, found in zip(shape["models"], record.models, strict=True):
        model["files"] = [file.name for file in found.files]
    return shape


def failure(record: Record) -> dict[str, Any] | None:
    """The exception that ended the run; None if there was none."""
    if record.failure_type is None:
        return None
    return {"type": record.failure_type, "message": record.failure_message, "traceback": record.traceback}


def _picked(item: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(item, name) for name in names}
