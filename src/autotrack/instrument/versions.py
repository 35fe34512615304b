"""Version ranges such as ">=1.3,<3", as far as integrations need them: release numbers and the six comparisons."""

from __future__ import annotations

import operator
import re

_COMPARISONS = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def release(version: str) -> tuple[int, ...]:
    """The release numbers of a version without trailing zeros: (1, 9) for "1.9.0rc1"; empty if it has none."""
    found = re.match(r"\s*v?(?:\d+!)?(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in found.group(1).split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def in_range(version: str, requires: str) -> bool:
    """Whether `version` is in the range `requires`; an unknown version and an empty range always fit.

    Pre-releases count as their release. `ValueError` for a range that is not understood.
    """
    numbers = release(version)
    for condition in filter(None, (part.strip() for part in requires.split(","))):
        found = re.fullmatch(r"(>=|<=|==|!=|>|<)\s*([\d.]+)", condition)
        if found is None:
            raise ValueError(f"the version range {requires!r} is not understood at {condition!r}")
        if version and not _COMPARISONS[found.group(1)](numbers, release(found.group(2))):
            return False
    return True
