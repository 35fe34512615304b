"""What differs between runs: params, metrics, data, code, packages, environment."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from autotrack import _upcalls
from autotrack.exceptions import AutotrackError, InvalidValueError
from autotrack.ids import short_id
from autotrack.query.groups import identity, shown

if TYPE_CHECKING:
    from autotrack.query.records import Record

PATCH = "git/changes.patch"
SECTIONS = ("run", "params", "metrics", "tags", "datasets", "code", "packages", "environment")
_ATTRIBUTES = ("experiment", "kind", "status", "duration", "user", "host")
_CODE_OF_PROCESS = ("script", "script_digest")
_ELSEWHERE = ("pid", "command", *_CODE_OF_PROCESS)  # left out of `process`: arbitrary, also in argv, or in `code`
_DIGEST_OF_STATE = ".state"  # the ending of digests of random generators, which always differ
_LONGEST_VALUE = 44
_LONGEST_PATCH = 5_000  # lines; the comparison is quadratic in the worst case
_PATCH_LINES_SHOWN = 80


class _Absent:
    """The type of `ABSENT`, which stands for the value that a run does not have."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()
Values = tuple[Any, ...]


@dataclass(frozen=True)
class Comparison:
    """Facts of several runs side by side: `sections[section][name]` has a value per run, `ABSENT` where it has none.

    Sections and names come in a fixed order, params that the user set first. Sections are `run`, `params`, `metrics`
    (last values), `tags`, `datasets`, `code`, `packages` and `environment`; those with nothing to show are left out.
    """

    runs: tuple[Record, ...]
    sections: Mapping[str, Mapping[str, Values]]

    def __bool__(self) -> bool:
        return any(differs(values) for section in self.sections.values() for values in section.values())

    def __getattr__(self, section: str) -> Mapping[str, Values]:
        if section in SECTIONS:
            return self.sections.get(section, {})
        raise AttributeError(f"a comparison has no {section!r}; there are: {', '.join(SECTIONS)}")

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain data: `runs`, and per section and name the values by run id, without absent ones."""
        ids = [record.id for record in self.runs]
        sections = {
            section: {name: _present(ids, values) for name, values in rows.items()}
            for section, rows in self.sections.items()
        }
        return {"runs": [{"id": record.id, "name": record.name} for record in self.runs], **sections}

    def __str__(self) -> str:
        heads = [f"{record.name} ({short_id(record.id)})" for record in self.runs]
        return (
            "\n".join(_text_lines(heads, self.sections)) if self.sections else f"{' and '.join(heads)}: no difference"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _upcalls.comparison_html(self)


@dataclass(frozen=True, repr=False)
class Diff(Comparison):
    """Two runs side by side. `patch` is the unified diff from one run's uncommitted changes to the other's."""

    patch: str = ""

    def __bool__(self) -> bool:
        return bool(self.patch) or super().__bool__()

    def to_dict(self) -> dict[str, Any]:
        """The result of `Comparison.to_dict`, with the `patch`."""
        return {**super().to_dict(), "patch": self.patch}

    def __str__(self) -> str:
        if not self.patch:
            return super().__str__()
        lines = self.patch.splitlines()
        rest = len(lines) - _PATCH_LINES_SHOWN
        more = [f"… {rest} more lines"] if rest > 0 else []
        return "\n".join([super().__str__(), "uncommitted changes", *lines[:_PATCH_LINES_SHOWN], *more])

    __repr__ = __str__


def diff(a: Record, b: Record, *, all: bool = False) -> Diff:  # noqa: A002 - the word people use
    """Compare two runs: the facts that differ, with `all` also those that are equal."""
    return Diff((a, b), _sections((a, b), everything=all), _patch_diff(a, b))


def compare(records: Sequence[Record], *, all: bool = False) -> Comparison:  # noqa: A002 - the word people use
    """Compare one or more runs: the facts that are not equal in all of them or, with `all`, all facts."""
    if not records:
        raise InvalidValueError("there are no runs to compare")
    return Comparison(tuple(records), _sections(records, everything=all))


def differs(values: Values) -> bool:
    """Whether the values of the runs differ; 1 equals 1.0, and NaN equals NaN."""
    return len({_identity(value) for value in values}) > 1


def facts_of(record: Record) -> dict[str, dict[str, Any]]:
    """The facts of a run that are compared, by section and name."""
    process: Mapping[str, Any] = record.environment.get("process", {})
    rest = {name: data for name, data in record.environment.items() if name not in ("git", "packages", "process")}
    plain_process = {key: value for key, value in process.items() if key not in _ELSEWHERE}
    return {
        "run": {name: getattr(record, name) for name in _ATTRIBUTES if getattr(record, name) is not None},
        "params": dict(record.params),
        "metrics": {key: found.last for key, found in record.metrics.items() if not key.startswith("system/")},
        "tags": dict(record.tags),
        "datasets": dict(_datasets(record)),
        "code": dict(_code(record, process)),
        "packages": dict(record.packages),
        "environment": {
            name: value
            for name, value in _leaves({"process": plain_process, **rest})
            if not name.endswith(_DIGEST_OF_STATE)
        },
    }


def patch_of(record: Record) -> str:
    """The patch of the run's uncommitted changes; empty if there is none, the error in brackets if it is unreadable."""
    for artifact in record.artifacts:
        if artifact.name == PATCH:
            try:
                return artifact.read().decode("utf-8", "replace")
            except AutotrackError as error:
                return f"({error})\n"
    return ""


def _sections(records: Sequence[Record], *, everything: bool) -> dict[str, dict[str, Values]]:
    facts = [facts_of(record) for record in records]
    found: dict[str, dict[str, Values]] = {}
    for section in SECTIONS:
        names = dict.fromkeys(name for one in facts for name in one[section])
        rows = {name: tuple(one[section].get(name, ABSENT) for one in facts) for name in names}
        rows = {name: values for name, values in rows.items() if everything or differs(values)}
        if rows:
            found[section] = rows
    return found


def _datasets(record: Record) -> Iterator[tuple[str, Any]]:
    for dataset in record.datasets:
        name = dataset.name if dataset.role == "unknown" else f"{dataset.name} ({dataset.role})"
        for part in ("version", "source", "digest"):
            if getattr(dataset, part):
                yield f"{name} {part}", getattr(dataset, part)
        if "rows" in dataset.meta:
            yield f"{name} rows", dataset.meta["rows"]


def _code(record: Record, process: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from _leaves(record.git)
    yield from ((key, process[key]) for key in _CODE_OF_PROCESS if key in process)
    patches = [artifact.digest for artifact in record.artifacts if artifact.name == PATCH]
    if patches:
        yield "uncommitted changes", patches[0]


def _leaves(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _patch_diff(a: Record, b: Record) -> str:
    first, second = (patch_of(record).splitlines() for record in (a, b))
    if max(len(first), len(second)) > _LONGEST_PATCH and first != second:
        return f"({len(first)} and {len(second)} lines: too long to compare here)"
    return "\n".join(difflib.unified_diff(first, second, a.name, b.name, lineterm=""))


def _identity(value: Any) -> Any:
    return value if value is ABSENT else identity(value)


def _present(ids: Sequence[str], values: Values) -> dict[str, Any]:
    return {run: _plain(value) for run, value in zip(ids, values, strict=True) if value is not ABSENT}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _cut(value: Any) -> str:
    text = "" if value is ABSENT else " ".join(shown(value).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _text_lines(heads: Sequence[str], sections: Mapping[str, Mapping[str, Values]]) -> Iterator[str]:
    """Yield the lines of a comparison as text, with one column per run."""
    rows = [[name, *map(_cut, values)] for section in sections.values() for name, values in section.items()]
    widths = [max(len(row[column]) for row in [["", *heads], *rows]) for column in range(len(heads) + 1)]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    yield "  " + line(["", *heads])
    for section, found in sections.items():
        yield section
        for name, values in found.items():
            yield "  " + line([name, *map(_cut, values)]) + change(values)


def change(values: Values) -> str:
    """The change from the first to the second of two numbers, as text in percent; empty for other values."""
    if len(values) != 2 or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return ""
    first, second = values
    if first == 0 or not differs(values) or not abs(second) < float("inf") or not abs(first) < float("inf"):
        return ""
    return f"  ({(second - first) / abs(first):+.1%})"
