"""Version ranges of integrations."""

from __future__ import annotations

import pytest

from autotrack.instrument.versions import in_range


@pytest.mark.parametrize(
    ("version", "requires", "fits"),
    [
        ("1.9.1", ">=1.3", True), ("1.10", ">=1.9", True), ("1.3", ">=1.3.0", True), ("1.2.2", ">=1.3", False),
        ("2.0.0", ">=1.3,<2", False), ("2.0rc1", ">=2", True), ("1.4.dev0+abc", ">1.3,!=1.5", True),
        ("1.5", ">1.3,!=1.5", False), ("", ">=1.3", True), ("1.0", "", True), ("3", "==3.0", True),
        ("3.1", "<=3", False), ("2.1.0a0+fe05266f", ">=2.1", True), ("git-2f3a", ">=1.3", True),
        ("1.4.5", "~=1.4", True),
    ],
)  # fmt: skip
def test_ranges(version, requires, fits):
    """Ranges are those of PEP 440, a pre-release counts as its release, and unknown versions fit."""
    assert in_range(version, requires) is fits


def test_a_range_that_is_not_understood_is_an_error():
    """A typo in an integration's range is found by its author."""
    with pytest.raises(ValueError, match="~=1"):
        in_range("1.0", "~=1")
