"""The filter language, compiled to SQL. Nothing is filtered in Python, and every value is a bound parameter.

    params.lr > 0.01 and metrics.val/accuracy.max >= 0.9
    run.status in ('failed', 'crashed') and not tags.team = 'vision'
    packages.torch >= 2.1 or params."my key" is not null

Documented for users in docs/filters.md; the grammar is in filter.lark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError
from sqlalchemy import ColumnElement, FromClause, UnaryExpression, and_, not_, or_

from autotrack.exceptions import FilterError
from autotrack.query.comparisons import Clause, Context, opposite
from autotrack.query.fields import Field, Name, find_field, is_namespaced
from autotrack.query.literals import UNUSABLE, Literal

_MOST_PARTS = 400  # SQLite's limits are an expression depth of 1,000 and 32,766 parameters
_MOST_VALUES = 10_000
_DEEPEST = 32  # levels of the syntax tree; the stack of SQLite's parser has 100 entries


@dataclass(frozen=True)
class Condition:
    """A filter as a condition on `runs`, and the names of its fields."""

    clause: Clause
    names: frozenset[str]


@dataclass(frozen=True)
class Order:
    """ORDER BY terms, missing values last, and the rows to join to `runs` for them, with their conditions.

    `leading` is the column of the first term, if its rows have to be joined: the first of `joins`.
    """

    terms: list[ColumnElement[Any]]
    joins: list[tuple[FromClause, Clause]]
    leading: ColumnElement[Any] | None = None


def compile_filter(text: str, context: Context) -> Condition | None:
    """Compile the filter `text`; None if it is empty, `FilterError` if it is invalid."""
    if not text.strip():
        return None
    tree = _parsed(text, "filter")
    _check_size(tree, text)
    reader = _Reader(text, context)
    return Condition(_read(reader, tree), frozenset(reader.names))


def check_filter(text: str) -> None:
    """Raise `FilterError` if the filter `text` cannot be understood, without any store."""
    compile_filter(text, Context("sqlite", 0, lambda query: []))


def compile_order(order: str | Sequence[str], context: Context) -> Order:
    """Compile an order: fields separated by commas, with a leading minus or `desc` for descending order."""
    text = order if isinstance(order, str) else ", ".join(order)
    if not text.strip():
        return Order([], [])
    terms: list[ColumnElement[Any]] = []
    joins = []
    leading = None
    for name, descending in _read(_OrderReader(text), _parsed(text, "order")):
        field = find_field(name, context)
        try:
            values, rows, on = field.sorting()
        except FilterError as error:
            raise name.error(error.problem) from None
        ordered = values.order(descending)
        if rows is not None and on is not None:
            joins.append((rows, on))
            leading = _column_in(ordered[0]) if not terms else leading
        terms.extend(ordered)
    return Order(terms, joins, leading)


def _column_in(term: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column of an ORDER BY term, without its direction."""
    while isinstance(term, UnaryExpression):
        term = term.element
    return term


@cache
def _parser() -> Lark:
    return Lark.open("filter.lark", rel_to=__file__, parser="lalr", start=["filter", "order"], maybe_placeholders=False)


def _parsed(text: str, start: str) -> Tree[Token]:
    unusable = UNUSABLE.search(text)
    if unusable is not None:
        raise FilterError(f"{unusable[0]!r} is no character that can be stored", ascii(text), None)
    try:
        tree = _parser().parse(text, start=start)
    except UnexpectedInput as error:
        raise _explained(error, text) from None
    return tree if isinstance(tree, Tree) else Tree(start, [tree])


def _read(reader: Transformer[Token, Any], tree: Tree[Token]) -> Any:
    try:
        return reader.transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, FilterError):
            raise error.orig_exc from None
        raise


def _check_size(tree: Tree[Token], text: str) -> None:
    parts = sum(1 for _ in tree.iter_subtrees())
    if parts > _MOST_PARTS:
        raise FilterError(f"the filter has {parts} parts, more than {_MOST_PARTS}: list values with in (…)")
    tokens = sum(1 for _ in tree.scan_values(lambda value: isinstance(value, Token)))
    if tokens > _MOST_VALUES:
        raise FilterError(f"the filter has {tokens} values, more than {_MOST_VALUES}")
    if _depth(tree) > _DEEPEST:
        raise FilterError("the filter is nested too deeply", text)


def _depth(tree: Tree[Token]) -> int:
    depths: dict[int, int] = {}
    for node in tree.iter_subtrees():
        depths[id(node)] = 1 + max((depths[id(child)] for child in node.children if isinstance(child, Tree)), default=0)
    return depths[id(tree)]


class _Reader(Transformer[Token, Any]):
    """Builds the condition from the syntax tree, leaves first."""

    def __init__(self, text: str, context: Context) -> None:
        super().__init__()
        self._text = text
        self._context = context
        self.names: set[str] = set()

    def any_of(self, clauses: list[Clause]) -> Clause:
        return or_(*clauses)

    def all_of(self, clauses: list[Clause]) -> Clause:
        return and_(*clauses)

    def negated(self, parts: list[Any]) -> Clause:
        clause: Clause = parts[-1]
        return clause if len(parts) % 2 else not_(clause)

    def compared(self, parts: list[Any]) -> Clause:
        field: Field = parts[0]
        sign: str = parts[1]
        literal: Literal = parts[2]
        if sign in {"=", "=="}:
            return field.matches(lambda values: values.among([literal]))
        if sign in {"!=", "<>"}:
            return field.matches(lambda values: opposite(values.among([literal]), values))
        return field.matches(lambda values: values.ordered(str(sign), literal))

    def among(self, parts: list[Any]) -> Clause:
        field, literals = parts[0], [part for part in parts[1:] if isinstance(part, Literal)]
        return _unless(parts, field, lambda values: values.among(literals))

    def like(self, parts: list[Any]) -> Clause:
        word, literal = parts[-2].lower(), parts[-1]
        return _unless(parts, parts[0], lambda values: values.like(word, literal))

    def is_null(self, parts: list[Any]) -> Clause:
        present: Clause = parts[0].matches(lambda values: values.present())
        return present if len(parts) > 1 else not_(present)

    def KEY(self, token: Token) -> Field:  # noqa: N802 - lark's callbacks bear the names of terminals
        field = find_field(Name(str(token), self._text, token.start_pos or 0), self._context)
        self.names.add(field.name)
        return field

    def STRING(self, token: Token) -> Literal:  # noqa: N802
        quote = token[0]
        return Literal(token[1:-1].replace(quote * 2, quote), True, self._text, token.start_pos or 0)

    def WORD(self, token: Token) -> Literal:  # noqa: N802
        literal = Literal(str(token), False, self._text, token.start_pos or 0)
        if is_namespaced(literal.text):
            raise literal.error(
                f"a field compares with values, not with another field: quote {literal.text} if it is text"
            )
        return literal


def _unless(parts: list[Any], field: Field, test: Any) -> Clause:
    """The condition that a value passes the test or, with a `not` among the parts, that a value does not."""
    if any(isinstance(part, Token) and part.type == "NOT" for part in parts):
        return field.matches(lambda values: opposite(test(values), values))
    return field.matches(test)


class _OrderReader(Transformer[Token, Any]):
    """Reads the names and directions of an order from the syntax tree."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def order(self, terms: list[tuple[Name, bool]]) -> list[tuple[Name, bool]]:
        return terms

    def ordered(self, parts: list[Token]) -> tuple[Name, bool]:
        token, position = str(parts[0]), parts[0].start_pos or 0
        bare = token[1:] if token[:1] in {"-", "+"} else token
        descending = token.startswith("-") != (len(parts) > 1 and parts[1].lower() == "desc")
        if not bare:
            raise FilterError("a field is missing behind the sign", self._text, position)
        return Name(bare, self._text, position + len(token) - len(bare)), descending


_EXPECTED = {
    "KEY": "a field such as params.lr, metrics.val/loss or run.status",
    "OPERATOR": "a comparison (= != < <= > >= in like is)",
    "WORD": "a value",
    "STRING": "a value",
    "RPAR": "a closing parenthesis",
    "COMMA": "a comma",
    "_AND": "and",
    "_OR": "or",
    "_NULL": "null",
    "_IN": "in",
    "LIKE": "like",
    "DIRECTION": "asc or desc",
}
_MEANT = {"&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "~": "not", "=>": ">=", "=<": "<=", "===": "="}


def _explained(error: UnexpectedInput, text: str) -> FilterError:
    """A `FilterError` with a readable message for a parser error, at its position."""
    if isinstance(error, UnexpectedToken):
        position = len(text) if error.token.type == "$END" else error.token.start_pos or 0
        expected = error.accepts or error.expected
    else:
        position = error.pos_in_stream or 0
        expected = set(error.allowed or ()) if isinstance(error, UnexpectedCharacters) else set()
    rest = text[position:]
    if rest[:1] in {"'", '"', "`"} and rest.count(rest[0]) % 2:
        return FilterError("this quote is never closed", text, position)
    if "OPERATOR" in expected:
        expected = expected - {"_IN", "LIKE"}
    words = list(dict.fromkeys(_EXPECTED[name] for name in _EXPECTED if name in expected))
    found = rest.split(maxsplit=1)[0] if rest.strip() else ""
    problem = f"{found} makes no sense here" if found else "something is missing at the end"
    if words:
        problem += f": expected {' or '.join(words)}"
    meant = _MEANT.get(found)
    if meant:
        problem += f" (did you mean {meant!r}?)"
    return FilterError(problem, text, position)
