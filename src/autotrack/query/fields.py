"""The fields that a filter can name: `params.lr`, `metrics.val/loss.min`, `run.status`, `packages.torch`, …"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

from sqlalchemy import FromClause, Subquery, Table, and_, or_, select

from autotrack.exceptions import FilterError
from autotrack.query.comparisons import (
    Clause,
    Comparable,
    Context,
    Durations,
    Numbers,
    Scalars,
    Texts,
    Times,
    Typed,
    Versions,
)
from autotrack.query.statements import duration, status
from autotrack.roles import aliases
from autotrack.store import schema

AGGREGATES = ("last", "first", "min", "max", "count")

ValuesOf: TypeAlias = Callable[[FromClause], Comparable]


@dataclass(frozen=True)
class Field(ABC):
    """A name in a filter and the values that it stands for."""

    name: str
    values: ValuesOf

    @abstractmethod
    def matches(self, test: Callable[[Comparable], Clause]) -> Clause:
        """The condition on `runs` that a value of the field passes the test; not NULL."""

    @abstractmethod
    def sorting(self) -> tuple[Comparable, FromClause | None, Clause | None]:
        """The values to sort by and, if they are not in `runs`, the rows to join and the condition to join them on."""


@dataclass(frozen=True)
class Attribute(Field):
    """A value in the run's own row, or computed from it; `optional` if it may be NULL."""

    optional: bool

    def matches(self, test: Callable[[Comparable], Clause]) -> Clause:
        values = self.values(schema.runs)
        clause = test(values)
        return and_(values.exists(), clause) if self.optional else clause

    def sorting(self) -> tuple[Comparable, FromClause | None, Clause | None]:
        return self.values(schema.runs), None, None


@dataclass(frozen=True)
class Fact(Field):
    """Values in rows of `table`: those whose column `key` is one of `keys` or, without `keys`, all rows of a run.

    The keys of a metric are its name and an alias, which counts only in runs without the name.
    """

    table: Table
    keys: tuple[str, ...] = ()

    def matches(self, test: Callable[[Comparable], Clause]) -> Clause:
        found = select(self.table.c.run_pk).where(*self.found_in(self.table), test(self.values(self.table)))
        return schema.runs.c.pk.in_(found)

    def sorting(self) -> tuple[Comparable, FromClause | None, Clause | None]:
        if not self.keys:
            raise FilterError(f"a run may have several of {self.name}: there is no order by it")
        rows = self.table.alias()
        return self.values(rows), rows, and_(rows.c.run_pk == schema.runs.c.pk, *self.found_in(rows))

    def found_in(self, rows: FromClause) -> list[Clause]:
        """The condition that `rows` have one of the keys, as a list; empty without keys."""
        if not self.keys:
            return []
        if len(self.keys) == 1 or self.table is not schema.metrics:
            return [rows.c.key == self.keys[0] if len(self.keys) == 1 else rows.c.key.in_(self.keys)]
        name, alias = self.keys
        other = schema.metrics.alias()
        named = select(other.c.run_pk).where(other.c.run_pk == rows.c.run_pk, other.c.key == name)
        return [or_(rows.c.key == name, and_(rows.c.key == alias, ~named.correlate(rows).exists()))]


@dataclass(frozen=True)
class EnvironmentFact(Field):
    """Leaves of the sections of an environment, which many runs share: those whose key is one of `keys`."""

    keys: tuple[str, ...]

    def matches(self, test: Callable[[Comparable], Clause]) -> Clause:
        rows = self.rows()
        found = select(rows.c.environment_pk).where(test(self.values(rows)))
        mine = schema.runs.c.environment
        return and_(mine.is_not(None), mine.in_(found))

    def sorting(self) -> tuple[Comparable, FromClause | None, Clause | None]:
        rows = self.rows()
        return self.values(rows), rows, rows.c.environment_pk == schema.runs.c.environment

    def rows(self) -> Subquery:
        """The leaves with the keys of the field in all environments, with the columns that `values` takes."""
        facts, members = schema.facts.c, schema.environment_sections.c
        joined = (facts.section_pk == members.section_pk) & members.latest & facts.key.in_(self.keys)
        return select(members.environment_pk, facts.number, facts.text).where(joined).subquery()


@dataclass(frozen=True)
class Name:
    """A field's name, including quotes, as written in `source` at `position`."""

    text: str
    source: str
    position: int

    def error(self, problem: str, at: int = 0) -> FilterError:
        """A `FilterError` whose position is `at` characters into this name."""
        return FilterError(problem, self.source, self.position + at)

    def split(self) -> tuple[str, list[tuple[str, bool]]]:
        """The namespace, and the pieces of what follows it, each with whether it was quoted.

        The namespace is empty where the name has none.
        """
        pieces = [
            (piece[1:-1].replace(piece[0] * 2, piece[0]), True) if piece[0] in '"`' else (piece, False)
            for piece in _PIECES.findall(self.text)
        ]
        first, quoted = pieces[0]
        namespace, dot, rest = first.partition(".")
        if quoted or not dot:
            return "", pieces
        return namespace, [(piece, was) for piece, was in [(rest, False), *pieces[1:]] if piece]


_PIECES = re.compile(r'"(?:[^"]|"")*"|`(?:[^`]|``)*`|[^"`]+')


def find_field(name: Name, context: Context) -> Field:
    """The field that a name stands for; `FilterError` with a suggestion if there is none."""
    namespace, pieces = name.split()
    whole = "".join(piece for piece, _ in pieces)
    if not namespace:
        if len(pieces) == 1 and not pieces[0][1] and whole in _RUN:
            return _run(name, whole, pieces, context)
        raise name.error(_no_namespace(name.text, whole))
    make = _NAMESPACES.get(namespace.lower())
    if make is None:
        raise name.error(_unknown_namespace(namespace, name.text))
    if not whole:
        raise name.error(
            f"{name.text} names nothing: write, say, {namespace}.{_EXAMPLES[namespace.lower()]}", len(name.text)
        )
    return make(name, whole, pieces, context)


def _run(name: Name, attribute: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
    make = _RUN.get(attribute)
    if make is None:
        raise name.error(_unknown("run has no", attribute, _RUN), len(name.text) - len(attribute))
    optional = attribute in _OPTIONAL
    return Attribute(f"run.{attribute}", lambda rows: make(f"run.{attribute}", rows, context), optional)


def _param(name: Name, key: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
    def values(rows: FromClause) -> Comparable:
        return Typed(name.text, rows.c.number, rows.c.text, context, rows.c.value)

    return Fact(name.text, values, schema.params, (key,))


def _metric(name: Name, key: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
    last, quoted = pieces[-1]
    _, dot, aggregate = last.rpartition(".")
    if quoted or not dot or aggregate not in AGGREGATES or len(aggregate) + 1 == len(key):
        aggregate = "last"
    else:
        key = key[: -len(aggregate) - 1]
    nan = aggregate != "count"
    return Fact(name.text, lambda rows: Numbers(name.text, rows.c[aggregate], nan), schema.metrics, aliases(key))


def _tag(name: Name, key: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
    return Fact(name.text, lambda rows: Texts(name.text, rows.c.value, context), schema.tags, (key,))


def _fact(name: Name, context: Context, *keys: str) -> Field:
    return EnvironmentFact(name.text, lambda rows: Scalars(name.text, rows.c.number, rows.c.text, context), keys)


def _version(name: Name, context: Context, *keys: str) -> Field:
    facts = schema.facts
    known = select(facts.c.text).where(facts.c.key.in_(keys), facts.c.text.is_not(None)).distinct()
    return EnvironmentFact(name.text, lambda rows: Versions(name.text, rows.c.text, context, select=known), keys)


def _git(name: Name, key: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
    return _fact(name, context, f"git.{key}")


def _package(name: Name, key: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
    spellings = {key, key.lower(), re.sub(r"[-_.]+", "-", key).lower(), re.sub(r"[-_.]+", "_", key).lower()}
    return _version(name, context, *(f"packages.{spelling}" for spelling in sorted(spellings)))


def _env(name: Name, key: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
    if key in _ENV_VERSIONS:
        return _version(name, context, f"{_ENV[key]}.{key}")
    if key in _ENV:
        return _fact(name, context, f"{_ENV[key]}.{key}")
    if key.partition(".")[0] in _SECTIONS and "." in key:
        return _fact(name, context, key)
    if key.isupper():
        return _fact(name, context, f"process.env.{key}")
    raise name.error(_unknown("env has no", key, [*_ENV, *(f"{section}.…" for section in _SECTIONS)]), 4)


def _part(table: Table, **attributes: Callable[..., Comparable]) -> Callable[..., Field]:
    """A function that creates the fields of a namespace whose attributes are columns of a table with rows of runs."""

    def field(name: Name, attribute: str, pieces: list[tuple[str, bool]], context: Context) -> Field:
        make = attributes.get(attribute)
        if make is None:
            raise name.error(_unknown(f"{table.name} have no", attribute, attributes), len(name.text) - len(attribute))
        return Fact(name.text, lambda rows: make(name.text, rows.c[attribute], context), table)

    return field


def _text(name: str, column: Any, context: Context) -> Comparable:
    return Texts(name, column, context, blank=True)


def _number(name: str, column: Any, context: Context) -> Comparable:
    return Numbers(name, column)


def _own_text(column: str) -> Callable[[str, FromClause, Context], Comparable]:
    return lambda name, rows, context: Texts(name, rows.c[column], context, blank=True)


def _own_number(column: str) -> Callable[[str, FromClause, Context], Comparable]:
    return lambda name, rows, context: Numbers(name, rows.c[column])


def _own_time(column: str) -> Callable[[str, FromClause, Context], Comparable]:
    return lambda name, rows, context: Times(name, rows.c[column], context.now)


_RUN: dict[str, Callable[[str, FromClause, Context], Comparable]] = {
    "id": _own_text("id"),
    "name": _own_text("name"),
    "experiment": _own_text("experiment"),
    "status": lambda name, rows, context: Texts(name, status(), context),
    "kind": _own_text("kind"),
    "started": _own_time("started"),
    "ended": _own_time("ended"),
    "duration": lambda name, rows, context: Durations(name, duration(context.now)),
    "user": _own_text("user"),
    "host": _own_text("host"),
    "parent": _own_text("parent"),
    "attempt": _own_number("attempt"),
    "exit_code": _own_number("exit_code"),
    "failure": _own_text("failure_type"),
}

_OPTIONAL = {"started", "ended", "duration", "parent", "exit_code", "failure"}

_SECTIONS = ("process", "hardware", "scheduler", "notebook", "seeds")
_ENV = {
    **dict.fromkeys(("python", "implementation", "executable", "script", "cwd", "user", "host", "os"), "process"),
    **dict.fromkeys(("gpu", "cpu", "cores", "physical_cores", "memory", "driver", "cuda"), "hardware"),
}
_ENV_VERSIONS = {"python", "driver", "cuda"}

_NAMESPACES: dict[str, Callable[[Name, str, list[tuple[str, bool]], Context], Field]] = {
    "params": _param,
    "metrics": _metric,
    "tags": _tag,
    "run": _run,
    "git": _git,
    "env": _env,
    "packages": _package,
    "datasets": _part(schema.datasets, name=_text, version=_text, digest=_text, role=_text, source=_text),
    "artifacts": _part(schema.artifacts, name=_text, kind=_text, digest=_text, size=_number),
    "models": _part(schema.models, name=_text, flavor=_text, digest=_text, size=_number),
    "trainings": _part(schema.trainings, name=_text, framework=_text, status=_text),
    "evaluations": _part(schema.evaluations, name=_text),
    "media": _part(schema.media, key=_text, kind=_text),
    "notes": _part(schema.notes, text=_text, user=_text),
}

_EXAMPLES = {
    "params": "lr", "metrics": "val/loss", "tags": "team", "run": "status", "git": "commit", "env": "python",
    "packages": "torch", "datasets": "name", "artifacts": "name", "models": "flavor", "trainings": "name",
    "evaluations": "name", "media": "key", "notes": "text",
}  # fmt: skip

_SINGULAR = {namespace.removesuffix("s"): namespace for namespace in _NAMESPACES} | {
    "runs": "run",
    "package": "packages",
}


def _no_namespace(written: str, key: str) -> str:
    close = get_close_matches(key, _RUN, n=1)
    attribute = f"run.{close[0]}, " if close else ""
    return f"{written} has no namespace: write {attribute}params.{written}, metrics.{written} or tags.{written}"


def _unknown_namespace(namespace: str, written: str) -> str:
    meant = _SINGULAR.get(namespace.lower()) or next(iter(get_close_matches(namespace.lower(), _NAMESPACES, n=1)), None)
    if meant is not None:
        return f"there is no {namespace!r}: did you mean {meant}{written[len(namespace) :]}?"
    return (
        f"there is no {namespace!r}; names begin with {', '.join(_NAMESPACES)}"
        f" (a parameter or metric of that name is params.{written} or metrics.{written})"
    )


def _unknown(what: str, attribute: str, known: Any) -> str:
    close = get_close_matches(attribute, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    return f"{what} {attribute!r}: {hint}"


def is_namespaced(word: str) -> bool:
    """Whether a word is a namespace of fields, a dot and more."""
    namespace, dot, rest = word.partition(".")
    return bool(dot and rest) and namespace in _NAMESPACES
