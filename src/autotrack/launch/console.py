"""Filtering of console output for the record: whole lines in their final state, of limited size, without secrets.

Of a line that is redrawn (a progress bar) only the last state is kept; colours and cursor movements are removed. A line
with a likely secret is withheld as a whole.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from autotrack.environment.redaction import has_secret

StreamName: TypeAlias = Literal["stdout", "stderr"]
Emit = Callable[[StreamName, str], None]
Tell = Callable[[str], None]

HEAD = 4 << 20  # characters kept from the beginning
TAIL = 1 << 20  # characters kept from the end of the rest
BATCH = 1 << 16
LONGEST_LINE = 1 << 16
_LISTED = 20
_REMEMBERED = 20_000  # lines without a secret that are not searched again
WITHHELD = "[autotrack: a line withheld, for it seems to hold a secret]\n"

_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[0-Z\\`-~])")
_SPECIAL = re.compile(rb"[\r\b\x1b]")
_BACKSPACE = 8
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_DIGITS = str.maketrans("123456789", "000000000")
_KEY = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,30}PRIVATE KEY")


class Lines:
    """Splits one stream into texts of complete lines; a line of more than `LONGEST_LINE` bytes is split."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> str:
        """Add `data`; returns the text of all lines that are complete now, or the first part of an overlong line."""
        block, newline, rest = (self._rest + data).rpartition(b"\n")
        if b"\r" in rest:
            rest = rest[rest.rstrip(b"\r").rfind(b"\r") + 1 :]
        text = _text(block + newline) if newline else ""
        if len(rest) > LONGEST_LINE:
            cut = len(rest) - _unfinished(rest)
            text += _text(rest[:cut])
            rest = rest[cut:]
        self._rest = rest
        return text

    def end(self) -> str:
        """The text of the incomplete last line, at the end of the stream; may be empty."""
        rest, self._rest = self._rest, b""
        return _text(rest)


class ConsoleBuffer:
    """Receives the output of a command in pieces and calls `emit` with the text to be recorded, in batches.

    `tell` is called with messages for the capture report. Not thread-safe; the owner calls `flush` every few seconds or
    more often. `head` and `tail` are the numbers of characters kept from the beginning and the end.
    """

    def __init__(self, emit: Emit, tell: Tell, *, head: int = HEAD, tail: int = TAIL) -> None:
        self._emit = emit
        self._tell = tell
        self._room = head
        self._tail = tail
        self._lines: dict[StreamName, Lines] = {}
        self._batch: list[tuple[StreamName, str]] = []
        self._batched = 0
        self._ending: deque[tuple[StreamName, str]] = deque()
        self._ending_size = 0
        self._left_out = 0
        self._too_fast = 0
        self._secrets = Secrets()

    def feed(self, stream: StreamName, data: bytes) -> None:
        """Add `data`, which was written to a stream."""
        self._add(stream, self._lines.setdefault(stream, Lines()).feed(data))

    def gap(self, stream: StreamName, count: int) -> None:
        """Record a gap of `count` bytes of a stream that were dropped."""
        self._add(stream, self._lines.setdefault(stream, Lines()).end())
        self._add(stream, f"\n[autotrack: {count:,} bytes came too fast to be kept]\n")
        self._too_fast += count

    def flush(self) -> None:
        """Emit the batched text, or put it aside for the tail if the head is full."""
        batch, self._batch, self._batched = self._batch, [], 0
        for stream, text in _joined(batch):
            if self._room > 0:
                self._keep(stream, text)
            else:
                self._put_aside(stream, text)

    def finish(self) -> None:
        """Emit the rest, including the tail, at the end of the output, and report what was not kept."""
        for stream, lines in self._lines.items():
            self._add(stream, lines.end())
        self.flush()
        if self._left_out:
            self._emit("stdout", f"[autotrack: {self._left_out:,} characters left out here]\n")
        for stream, text in _joined(self._ending):
            self._emit(stream, self._secrets.withhold(stream, text))
        if self._too_fast:
            self._tell(f"{self._too_fast:,} bytes of output came too fast to be kept")
        self._secrets.tell(self._tell)

    def _add(self, stream: StreamName, text: str) -> None:
        if text:
            self._batch.append((stream, text))
            self._batched += len(text)
            if self._batched >= BATCH:
                self.flush()

    def _keep(self, stream: StreamName, text: str) -> None:
        self._room -= len(text)
        self._emit(stream, self._secrets.withhold(stream, text))
        if self._room <= 0:
            self._tell(f"there was much output: after the first part only the last {self._tail:,} characters are kept")

    def _put_aside(self, stream: StreamName, text: str) -> None:
        self._ending.append((stream, text))
        self._ending_size += len(text)
        while self._ending_size - len(self._ending[0][1]) >= self._tail:
            gone = len(self._ending.popleft()[1])
            self._ending_size -= gone
            self._left_out += gone


class Secrets:
    """Withholds lines that are likely to contain a secret, and counts them for the capture report."""

    def __init__(self) -> None:
        self._seen: Counter[StreamName] = Counter()
        self._withheld: list[tuple[StreamName, int]] = []
        self._in_key = False
        self._harmless: set[str] = set()

    def withhold(self, stream: StreamName, text: str) -> str:
        """`text` with each line that is likely to contain a secret replaced by `WITHHELD`."""
        count = text.count("\n")
        if self._in_key or self._is_suspicious(text):
            lines = text.splitlines(keepends=True)
            bad = set(self._found(lines))
            self._withheld += ((stream, self._seen[stream] + number + 1) for number in sorted(bad))
            text = "".join(WITHHELD if number in bad else line for number, line in enumerate(lines))
        self._seen[stream] += count
        return text

    def tell(self, tell: Tell) -> None:
        """Call `tell` with the stream and number of the withheld lines, if there are any."""
        if self._withheld:
            listed = ", ".join(f"{stream} {number}" for stream, number in self._withheld[:_LISTED])
            more = f" and {len(self._withheld) - _LISTED:,} more" if len(self._withheld) > _LISTED else ""
            tell(f"lines withheld, because they seem to hold secrets: {listed}{more}")

    def _is_suspicious(self, text: str) -> bool:
        """Whether the text may contain a secret; lines that equal earlier ones except for digits are not searched."""
        new = [line for line in dict.fromkeys(text.translate(_DIGITS).split("\n")) if line not in self._harmless]
        if not new:
            return False
        if has_secret("\n".join(new)):
            return True
        if len(self._harmless) > _REMEMBERED:
            self._harmless.clear()
        self._harmless.update(new)
        return False

    def _found(self, lines: list[str]) -> Iterator[int]:
        for number, line in enumerate(lines):
            mark = _KEY.search(line)
            if mark is not None:
                self._in_key = mark[1] == "BEGIN" and "END" not in line[mark.end() :]
            if self._in_key or mark is not None or has_secret(line):
                yield number
            elif number and len(line) > 60 and has_secret(lines[number - 1] + line):  # the body of a key
                yield from (number - 1, number)


def _text(data: bytes) -> str:
    if _SPECIAL.search(data):
        data = b"\n".join(_as_it_stood(line) if _SPECIAL.search(line) else line for line in data.split(b"\n"))
    text = data.decode("utf-8", errors="replace")
    return _CONTROL.sub("\ufffd", text) if _CONTROL.search(text) else text


def _as_it_stood(line: bytes) -> bytes:
    """The final state of a line on a terminal: without escape sequences, after overwriting by `\\r` and backspaces."""
    line = _ESCAPE.sub(b"", line).rstrip(b"\r")
    line = line[line.rfind(b"\r") + 1 :]
    if b"\b" not in line:
        return line
    left = bytearray()
    for byte in line:
        if byte != _BACKSPACE:
            left.append(byte)
        elif left:
            left.pop()
    return bytes(left)


def _unfinished(data: bytes) -> int:
    """The number of bytes at the end that are the start of an incomplete UTF-8 character."""
    for length, byte in enumerate(reversed(data[-3:]), start=1):
        if byte >= 0xC0:
            return length if length < 2 + (byte >= 0xE0) + (byte >= 0xF0) else 0
    return 0


def _joined(pieces: Iterable[tuple[StreamName, str]]) -> Iterator[tuple[StreamName, str]]:
    """Consecutive pieces of the same stream joined, up to about the size of a batch."""
    name: StreamName = "stdout"
    texts: list[str] = []
    size = 0
    for stream, text in pieces:
        if texts and (stream != name or size >= BATCH):
            yield name, "".join(texts)
            texts, size = [], 0
        name = stream
        texts.append(text)
        size += len(text)
    if texts:
        yield name, "".join(texts)
