"""Compiles comparisons of a field with the literals of a filter: numbers, text, typed values, versions, times.

A missing value compares as false, and so does a value of another type. The clauses may be NULL where there is no
value; code that negates or combines them turns NULL into false, so that `not` is the exact opposite.
"""

from __future__ import annotations

import json
import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, false, func, not_, or_, true

from autotrack.query.literals import Literal
from autotrack.store.schema import LONGEST_TEXT

Clause: TypeAlias = ColumnElement[bool]

_ORDERINGS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXACT_INTS = 1 << 53
_MOST_SPANS = 200


@dataclass(frozen=True)
class Context:
    """The context of a filter: the database's dialect, the time in microseconds, and a query for known values."""

    dialect: str
    now: int
    known: Callable[[Select[Any]], Sequence[str]]


@dataclass(frozen=True)
class Comparable(ABC):
    """The values of one field, which is called `name` in errors."""

    name: str

    @abstractmethod
    def exists(self) -> Clause:
        """The condition that there is a value, even if it is null."""

    def present(self) -> Clause:
        """The condition that there is a value other than null."""
        return self.exists()

    @abstractmethod
    def among(self, literals: Sequence[Literal]) -> Clause:
        """The condition that the value is one of `literals`."""

    @abstractmethod
    def ordered(self, sign: str, literal: Literal) -> Clause:
        """The condition that the value compares with the literal by `sign`, one of < <= > >=."""

    def like(self, word: str, literal: Literal) -> Clause:
        """The condition that text matches `like` or, ignoring case, `ilike` (wildcards `%` and `_`) or `contains`."""
        raise literal.error(f"{self.name} is no text: it compares by = != < <= > >= and in")

    @abstractmethod
    def order(self, descending: bool) -> list[ColumnElement[Any]]:
        """The ORDER BY terms for this value, missing values last."""


@dataclass(frozen=True)
class Numbers(Comparable):
    """A column of numbers; with `nan`, NULL stands for NaN."""

    column: ColumnElement[Any]
    nan: bool = False

    def exists(self) -> Clause:
        return true() if self.nan else self.column.is_not(None)

    def among(self, literals: Sequence[Literal]) -> Clause:
        numbers = [self._read(literal) for literal in literals]
        found = _one_of(self.column, [number for number in numbers if not isnan(number)])
        return or_(found, self.column.is_(None)) if self.nan and any(map(isnan, numbers)) else found

    def ordered(self, sign: str, literal: Literal) -> Clause:
        number = self._read(literal)
        if isnan(number):
            return false()
        return _clause(_ORDERINGS[sign](self.column, number))

    def order(self, descending: bool) -> list[ColumnElement[Any]]:
        return [_directed(self.column, descending)]

    def _read(self, literal: Literal) -> float:
        number = literal.number()
        if number is None:
            raise literal.error(f"{self.name} is a number, and {literal.shown} is none")
        return _double(number)


@dataclass(frozen=True)
class Durations(Numbers):
    """A column of seconds."""

    def _read(self, literal: Literal) -> float:
        seconds = literal.seconds()
        if seconds is None:
            raise literal.error(f"{self.name} is a duration: seconds, or amounts with units such as 5m or 1h30m")
        return seconds


@dataclass(frozen=True)
class Times(Comparable):
    """A column of microseconds since the epoch."""

    column: ColumnElement[Any]
    now: int

    def exists(self) -> Clause:
        return self.column.is_not(None)

    def among(self, literals: Sequence[Literal]) -> Clause:
        if len(literals) > _MOST_SPANS:
            raise literals[_MOST_SPANS].error(f"a list of times may have {_MOST_SPANS} of them")
        spans = [self._read(literal) for literal in literals]
        within = [and_(self.column >= start, self.column < end) for start, end in spans]
        return or_(*within)

    def ordered(self, sign: str, literal: Literal) -> Clause:
        return _clause(_ORDERINGS[sign](self.column, self._read(literal)[0]))

    def order(self, descending: bool) -> list[ColumnElement[Any]]:
        return [_directed(self.column, descending)]

    def _read(self, literal: Literal) -> tuple[int, int]:
        span = literal.span(self.now)
        if span is None:
            raise literal.error(
                f"{self.name} is a time: write '2026-11-24', '2026-11-24 10:00', today, or -7d for a week ago"
            )
        return span


@dataclass(frozen=True)
class Texts(Comparable):
    """A column of text; with `blank`, empty text counts as missing."""

    column: ColumnElement[Any]
    context: Context
    blank: bool = False

    def exists(self) -> Clause:
        return and_(self.column.is_not(None), self.column != "") if self.blank else self.column.is_not(None)

    def among(self, literals: Sequence[Literal]) -> Clause:
        for literal in literals:
            if not literal.quoted and literal.text.lower() == "null":
                raise literal.error(f"{self.name} is text: write 'is null' for none, or quote the word")
        return _one_of(self.column, [literal.text for literal in literals])

    def ordered(self, sign: str, literal: Literal) -> Clause:
        if not literal.quoted and literal.number() is not None:
            raise literal.error(f"{self.name} is text: quote the number to compare by alphabet")
        return _clause(_ORDERINGS[sign](self.column, literal.text))

    def like(self, word: str, literal: Literal) -> Clause:
        return _matches(self.column, word, literal.text, self.context.dialect)

    def order(self, descending: bool) -> list[ColumnElement[Any]]:
        return [_directed(self.column, descending)]


@dataclass(frozen=True)
class Versions(Texts):
    """A column of version numbers: text that is ordered by its numbers, so that 2.10 is greater than 2.9.

    `select` reads all versions that occur, to order them in Python: they are few, and no database orders versions.
    """

    select: Select[Any] | None = None

    def ordered(self, sign: str, literal: Literal) -> Clause:
        assert self.select is not None
        bound = _version(literal.text)
        fitting = [text for text in self.context.known(self.select) if _ORDERINGS[sign](_version(text), bound)]
        return self.column.in_(fitting)


@dataclass(frozen=True)
class Scalars(Comparable):
    """Values of any scalar type: `number` for ints, floats and bools, `text` for all.

    A literal without quotes is a number, true, false or null if it reads like one; a quoted literal is text, and
    equals a number or list that is spelled the same. Only strings have an alphabetical order.
    """

    number: ColumnElement[Any]
    text: ColumnElement[Any]
    context: Context

    def exists(self) -> Clause:
        return true()

    def among(self, literals: Sequence[Literal]) -> Clause:
        numbers, texts, spellings = [], [], []
        for literal in literals:
            spelling, number = self._spelling(literal), None if literal.quoted else literal.number()
            if spelling is not None:
                spellings.append(spelling)
            elif number is not None:
                numbers.append(_double(number))
            else:
                texts.append(literal.text)
        found = [_one_of(self.number, numbers)] if numbers else []
        found += [self.is_text(texts)] if texts else []
        found += [and_(self.is_text([spelling]), self.is_exactly(spelling)) for spelling in dict.fromkeys(spellings)]
        return or_(*found)

    def ordered(self, sign: str, literal: Literal) -> Clause:
        if not literal.quoted and (literal.boolean() is not None or literal.is_null):
            raise literal.error(f"{literal.shown} has no order: compare by = or !=")
        number = None if literal.quoted else literal.number()
        if number is None:
            return and_(_ORDERINGS[sign](self.text, literal.text), self.is_string())
        if isnan(number):
            return false()
        return _clause(_ORDERINGS[sign](self.number, _double(number)))

    def like(self, word: str, literal: Literal) -> Clause:
        return _matches(self.text, word, literal.text, self.context.dialect)

    def order(self, descending: bool) -> list[ColumnElement[Any]]:
        return [_directed(self.number, descending), _directed(self.text, descending)]

    def is_string(self) -> Clause:
        """The condition that the value is a string."""
        return self.number.is_(None)

    def is_exactly(self, spelling: str) -> Clause:
        """The condition that the value is the JSON `spelling`, and not a string of these letters."""
        return true() if spelling in {"NaN", "null"} else self.number.is_not(None)

    def is_text(self, texts: Sequence[str]) -> Clause:
        """The condition that the value is one of these strings, or has the same spelling."""
        return _one_of(self.text, texts)

    def _spelling(self, literal: Literal) -> str | None:
        """The JSON of a literal that no double represents: true, false, null, NaN, an int beyond 53 bits; else None."""
        if literal.quoted:
            return None
        if literal.is_null:
            return "null"
        number, boolean = literal.number(), literal.boolean()
        if boolean is not None:
            return "true" if boolean else "false"
        if number is not None and isnan(number):
            return "NaN"
        return str(number) if isinstance(number, int) and abs(number) > _EXACT_INTS else None


@dataclass(frozen=True)
class Typed(Scalars):
    """Values of any JSON type; `json` holds them exactly, so that the string "true" differs from true."""

    json: ColumnElement[Any]

    def present(self) -> Clause:
        return self.json != "null"

    def is_string(self) -> Clause:
        return func.substr(self.json, 1, 1) == '"'

    def is_exactly(self, spelling: str) -> Clause:
        return self.json == spelling

    def is_text(self, texts: Sequence[str]) -> Clause:
        short = [text for text in texts if len(text) < LONGEST_TEXT]
        long = [text for text in texts if len(text) >= LONGEST_TEXT]
        spellings = [*long, *map(json.dumps, long), *(json.dumps(text, ensure_ascii=False) for text in long)]
        found = [_one_of(self.text, short)] if short else []
        if long:
            beginnings = [text[:LONGEST_TEXT] for text in long]
            found.append(and_(_one_of(self.text, beginnings), self.json.in_(spellings)))
        return or_(*found)


def _one_of(column: ColumnElement[Any], values: Sequence[Any]) -> Clause:
    if not values:
        return false()
    return column == values[0] if len(values) == 1 else column.in_(values)


def _clause(comparison: Any) -> Clause:
    found: Clause = comparison
    return found


def _double(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _directed(column: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
    return (column.desc() if descending else column.asc()).nulls_last()


def _matches(column: ColumnElement[Any], word: str, pattern: str, dialect: str) -> Clause:
    """The condition that a column matches; `like` is case-sensitive, hence GLOB on SQLite, whose LIKE is not."""
    if word == "contains":
        return column.icontains(pattern, autoescape=True)
    if word == "ilike":
        return column.ilike(_closed(pattern), escape="\\")
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(_glob(pattern))
    return column.like(_closed(pattern), escape="\\")


def _closed(pattern: str) -> str:
    """The pattern with a trailing backslash, which escapes nothing, doubled."""
    trailing = len(pattern) - len(pattern.rstrip("\\"))
    return pattern + "\\" if trailing % 2 else pattern


_WILDCARDS = {"%": "*", "_": "?"}
_SPECIAL = {"*": "[*]", "?": "[?]", "[": "[[]"}


def _glob(pattern: str) -> str:
    """Translate a LIKE pattern, escaped by backslash, into a GLOB pattern."""

    def translated(match: re.Match[str]) -> str:
        escaped, plain = match[1], match[0]
        if escaped is not None:
            return _SPECIAL.get(escaped, escaped)
        return _WILDCARDS.get(plain) or _SPECIAL.get(plain, plain)

    return re.sub(r"\\(.)|[\s\S]", translated, pattern, flags=re.DOTALL)


def _version(text: str) -> tuple[Any, ...]:
    """A key that orders versions by their numbers, a pre-release before its release; a local part does not count."""
    parts = re.findall(r"\d+|[a-z]+", text.lower().partition("+")[0])
    key = [(2, int(part), "") if part.isdigit() else (0 if part != "post" else 2, 0, part) for part in parts]
    while key and key[-1] == (2, 0, ""):
        key.pop()
    return (*key, (1, 0, ""))


def opposite(clause: Clause, comparable: Comparable) -> Clause:
    """The condition that there is a value for which the clause does not hold."""
    return and_(comparable.exists(), not_(func.coalesce(clause, false())))
