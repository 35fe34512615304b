"""Whether a framework's version is one that an integration supports."""

from __future__ import annotations


def in_range(version: str, requires: str) -> bool:
    """Whether `version` is in the range `requires`, such as ">=1.3,<3" (PEP 440).

    Pre-releases, post-releases and local builds count as their release. An empty range contains every version; a
    version that is unknown, or not of PEP 440, is in every range. `ValueError` for a malformed range.
    """
    if not requires:
        return True
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    supported = SpecifierSet(requires)
    try:
        release = Version(version).base_version
    except InvalidVersion:
        return True
    return supported.contains(release)
