"""Tables: in a terminal limited to the columns that fit, in a pipe with all columns, uncut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autotrack.cli import screen

if TYPE_CHECKING:
    from rich.text import Text

GAP = 2


@dataclass(frozen=True)
class Cell:
    """A cell: `text` is shown in a terminal, `exact` is written to a pipe, if it differs.

    A column is aligned to the right if all its cells that are not empty are a `number`.
    """

    text: str
    style: str = ""
    exact: str | None = None
    number: bool = False

    def words(self, *, terminal: bool) -> str:
        """The text on one line, without control characters."""
        said = self.text if terminal or self.exact is None else self.exact
        return screen.visible(said.replace("\n", " ").replace("\t", " "))


@dataclass(frozen=True)
class Column:
    """A column. Where room is short, columns of a high `rank` are left out first, and those of rank 0 never.

    `shortest` is the width down to which it may be cut, None for not at all. A `soft` column is cut to make room for
    further columns, any other only if what cannot be left out does not fit. `longest` is its largest width in a
    terminal. Titles, and cells if `ends` is set, are cut in the middle, so that the number at the end of a name stays.
    """

    title: str
    rank: int = 0
    soft: bool = False
    ends: bool = False
    shortest: int | None = None
    longest: int | None = None
    style: str = ""


@dataclass
class Table:
    """Rows under columns; `indent` is how many spaces stand before each line."""

    columns: Sequence[Column]
    rows: list[Sequence[Cell | str]] = field(default_factory=list)
    indent: int = 0
    titles: bool = True

    @classmethod
    def of(cls, columns: Iterable[tuple[Column, Sequence[Cell]]], *, indent: int = 0) -> Table:
        """Make a table from columns and their cells."""
        chosen = list(columns)
        return cls([column for column, _ in chosen], list(zip(*(cells for _, cells in chosen), strict=True)), indent)

    def add(self, *cells: Cell | str) -> None:
        """Add a row."""
        self.rows.append(cells)

    def show(self) -> int:
        """Write the table; returns how many columns were left out because the terminal is too narrow."""
        lines, hidden = self.lines(screen.width())
        screen.show(*lines)
        return hidden

    def lines(self, width: int | None) -> tuple[Sequence[Text | str], int]:
        """The lines for a terminal of `width` columns, None for a pipe, and how many columns were left out."""
        from rich.cells import cell_len

        rows = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]
        words = [[cell.words(terminal=width is not None) for cell in row] for row in rows]
        titles = [screen.visible(column.title) for column in self.columns] if self.titles else [""] * len(self.columns)
        wide = [max(map(cell_len, column)) for column in zip(titles, *words, strict=True)]
        right = [_is_numeric(column) for column in zip(*rows, strict=True)] or [False] * len(titles)
        if width is None:
            return [self._plain_line(row, wide, right) for row in ([titles] if self.titles else []) + words], 0
        wide = [_capped(size, column) for size, column in zip(wide, self.columns, strict=True)]
        chosen = self._fit(wide, width - self.indent)
        titles = [_without_middle(title, size) for title, size in zip(titles, wide, strict=True)]
        lines = (
            [self._line([Cell(title, "dim") for title in titles], titles, wide, chosen, right)] if self.titles else []
        )
        lines += [self._line(row, said, wide, chosen, right) for row, said in zip(rows, words, strict=True)]
        return lines, len(self.columns) - len(chosen)

    def _fit(self, wide: list[int], width: int) -> list[int]:
        """Return the indices of the columns to show, and reduce the widths in `wide` of those that are cut."""

        def excess(chosen: Iterable[int], sizes: Sequence[int]) -> int:
            return sum(sizes[index] + GAP for index in chosen) - GAP - width

        least = [min(size, column.shortest or size) for size, column in zip(wide, self.columns, strict=True)]
        needed = [low if column.soft else size for low, size, column in zip(least, wide, self.columns, strict=True)]
        order = sorted(range(len(wide)), key=lambda index: (self.columns[index].rank, index))
        chosen = [index for index in order if not self.columns[index].rank]
        for index in order[len(chosen) :]:
            if excess([*chosen, index], needed) <= 0:
                chosen.append(index)
        while excess(chosen, wide) > 0 and (loose := [index for index in chosen if wide[index] > least[index]]):
            wide[max(loose, key=lambda index: wide[index])] -= 1
        return sorted(chosen)

    def _plain_line(self, words: Sequence[str], wide: list[int], right: Sequence[bool]) -> str:
        from rich.cells import cell_len

        parts = [
            " " * (size - cell_len(word)) + word if to_the_right else word + " " * (size - cell_len(word))
            for word, size, to_the_right in zip(words, wide, right, strict=True)
        ]
        return " " * self.indent + (" " * GAP).join(parts).rstrip()

    def _line(
        self, row: Sequence[Cell], words: Sequence[str], wide: list[int], chosen: list[int], right: Sequence[bool]
    ) -> Text:
        from rich.text import Text

        line = Text(" " * self.indent, no_wrap=True, end="")
        for index in chosen:
            said = _without_middle(words[index], wide[index]) if self.columns[index].ends else words[index]
            part = Text(said, style=row[index].style or self.columns[index].style, end="")
            part.truncate(wide[index], overflow="ellipsis")
            padding = " " * (wide[index] - part.cell_len)
            line.append(padding if right[index] else "").append_text(part).append("" if right[index] else padding)
            line.append(" " * GAP)
        line.rstrip()
        return line


def listed(pairs: Iterable[tuple[str, Cell | str]], *, indent: int = 2, longest_name: int = 36) -> Table:
    """Names and values side by side; in a terminal a long value is cut."""
    table = Table([Column("", longest=longest_name, shortest=12), Column("", shortest=10)], indent=indent, titles=False)
    for name, value in pairs:
        table.add(Cell(name, "cyan"), value)
    return table


def _without_middle(text: str, width: int) -> str:
    """Cut the text to at most `width` columns by leaving out its middle; about a third of the rest is its end."""
    from rich.cells import cell_len, chop_cells

    if cell_len(text) <= width:
        return text
    tail = max((width - 1) // 3, 1)
    beginning = chop_cells(text, max(width - 1 - tail, 1))[0]
    ending = chop_cells(text[::-1], tail)[0][::-1]
    return f"{beginning}…{ending}"


def _capped(size: int, column: Column) -> int:
    return size if column.longest is None else min(size, column.longest)


def _is_numeric(cells: Iterable[Cell]) -> bool:
    known = [cell for cell in cells if cell.text]
    return bool(known) and all(cell.number for cell in known)


def title(text: str, more: str = "", *, first: bool = False) -> None:
    """Print the heading of a part; in a terminal with a remark on what is left out."""
    from rich.text import Text

    heading = Text(text, style="bold")
    if more and screen.is_terminal():
        heading.append(f"  {more}", "dim not bold")
    screen.show(*([] if first else [""]), heading)
