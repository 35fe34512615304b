"""Values in the words of a person."""

from __future__ import annotations

import datetime

import pytest

from autotrack import wording


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"), (0.0001, "< 1 ms"), (0.24, "240 ms"), (0.9996, "1.0 s"), (9.94, "9.9 s"), (9.96, "10 s"),
        (59.6, "1 min"), (75, "1 min 15 s"), (3600, "1 h"), (7500, "2 h 5 min"), (90_000, "1 d 1 h"),
    ],
)  # fmt: skip
def test_durations_are_humane(seconds: float | None, said: str) -> None:
    """No duration has more digits than anybody wants."""
    assert wording.duration(seconds) == said


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (1, "just now"), (30, "30 s ago"), (200, "3 min ago"), (7_300, "2 h ago"), (100_000, "1 day ago"),
        (500_000, "5 days ago"), (9_000_000, "2026-01-01"),
    ],
)  # fmt: skip
def test_ages_are_humane(ago: float, said: str) -> None:
    """Recent times by their distance, others by their date."""
    now = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=9_000_000)
    assert wording.age(now - datetime.timedelta(seconds=ago), now) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.123456789, "0.12346"), (1e-9, "1e-09"), (3.0, "3"), (10**30, "1" + "0" * 30), (float("nan"), "nan"),
        (float("-inf"), "-inf"), (1e300, "1e+300"), (None, "–"),
    ],
)  # fmt: skip
def test_numbers_are_short(value: float | None, said: str) -> None:
    """Five digits say enough; whole numbers are written as such; extremes keep their sense."""
    assert wording.number(value) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1536, "1.5 KB"), (5 << 30, "5.0 GB")]
)
def test_sizes_are_in_powers_of_1024(count: int, said: str) -> None:
    """Bytes become the unit in which they are a small number."""
    assert wording.size(count) == said


def test_a_sparkline_follows_the_course_of_a_metric() -> None:
    """It rises and falls with the values, leaves a gap for NaN, and stays within its width."""
    assert wording.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert wording.sparkline([5, 5, 5]) == "▅▅▅"
    assert wording.sparkline([1, float("nan"), 2]) == "▁ █"
    assert wording.sparkline([1, float("inf"), 2]) == "▁██"
    assert wording.sparkline([3]) == ""
    long = wording.sparkline(range(10_000), width=20)
    assert (len(long), long[0], long[-1]) == (20, "▁", "█")
