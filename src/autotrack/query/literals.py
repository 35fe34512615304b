"""The literals of a filter: text, numbers, true and false, points in time, durations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isnan

from autotrack.exceptions import FilterError

UNUSABLE = re.compile("[\0\ud800-\udfff]")  # characters that SQLite or PostgreSQL cannot store as text
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.IGNORECASE)
_DURATION = re.compile(rf"(?:{_AMOUNT.pattern})+", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ](?P<minute>\d\d:\d\d)(?P<second>:\d\d)?(?P<fraction>\.\d{1,6})?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_NAMED_DAYS = {"today": 0, "yesterday": 1}


@dataclass(frozen=True)
class Literal:
    """A value as written in `source` at `position`; `text` is without its quotes."""

    text: str
    quoted: bool
    source: str
    position: int

    def error(self, problem: str) -> FilterError:
        """A `FilterError` at the position of this value."""
        return FilterError(problem, self.source, self.position)

    @property
    def shown(self) -> str:
        """The value for messages, in single quotes if it was quoted."""
        return f"'{self.text}'" if self.quoted else self.text

    @property
    def is_null(self) -> bool:
        """Whether this is the bare word null or None."""
        return not self.quoted and self.text.lower() in {"null", "none"}

    def boolean(self) -> bool | None:
        """True or False for the bare words true and false; None for others."""
        return None if self.quoted else {"true": True, "false": False}.get(self.text.lower())

    def number(self) -> int | float | None:
        """The text as a number, exact for an int; None if it is not one."""
        for read in (int, float):
            try:
                return read(self.text)
            except ValueError:
                continue
        return None

    def seconds(self) -> float | None:
        """The text as seconds: a number, or amounts with units such as `5m` and `1h30m`; None if it is no duration."""
        number = self.number()
        if number is not None:
            return _as_float(number)
        if not _DURATION.fullmatch(self.text):
            return None
        return sum(float(amount) * _UNITS[unit.lower()] for amount, unit in _AMOUNT.findall(self.text))

    def span(self, now: int) -> tuple[int, int] | None:
        """The interval [start, end) of a time, in microseconds since the epoch; None if the text is no time.

        A date is its whole day, a time its minute or second; without a zone it is local time. `-7d` is seven days
        before `now`, a plain number is seconds since the epoch. `FilterError` for an impossible date.
        """
        lower = self.text.lower()
        if lower in _NAMED_DAYS:
            midnight = _local(now).replace(hour=0, minute=0, second=0, microsecond=0)
            start = midnight - timedelta(days=_NAMED_DAYS[lower])
            return _micros(start), _micros(start + timedelta(days=1))
        if self.text[:1] == "-" and _DURATION.fullmatch(self.text[1:]):
            ago = Literal(self.text[1:], False, self.source, self.position).seconds() or 0.0
            return _instant(now / 1e6 - ago)
        match = _DATE.fullmatch(self.text)
        if match is None:
            number = self.number()
            return None if number is None else _instant(_as_float(number))
        return self._calendar_span(match)

    def _calendar_span(self, match: re.Match[str]) -> tuple[int, int]:
        zone = (match["zone"] or "").upper().replace("Z", "+00:00")
        text = self.text.upper().replace(" ", "T").removesuffix((match["zone"] or "").upper())
        if match["fraction"]:
            whole, _, digits = text.partition(".")
            text = f"{whole}.{digits:0<6}"
        try:
            start = datetime.fromisoformat(text)
            if zone:
                digits = zone[1:].replace(":", "")
                start = datetime.fromisoformat(f"{start.isoformat()}{zone[0]}{digits[:2]}:{digits[2:]}")
            return _micros(start), _micros(start + _precision(match))
        except (ValueError, OverflowError, OSError) as error:
            raise self.error(f"{self.shown} is not a point in time: {error}") from error


def _precision(match: re.Match[str]) -> timedelta:
    if match["fraction"]:
        return timedelta(microseconds=1)
    if match["second"]:
        return timedelta(seconds=1)
    return timedelta(minutes=1) if match["minute"] else timedelta(days=1)


def _local(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000)


def _micros(moment: datetime) -> int:
    """Microseconds since the epoch; a moment without a zone is local time."""
    return round(moment.timestamp() * 1_000_000)


def _as_float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _instant(seconds: float) -> tuple[int, int] | None:
    """The interval of one microsecond, clipped to what a BIGINT holds; None for NaN."""
    if isnan(seconds):
        return None
    micros = round(min(max(seconds, -9e12), 9e12) * 1_000_000)
    return micros, micros + 1
