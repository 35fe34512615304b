"""The name by which frameworks are told to use autotrack, such as `report_to="autotrack"`.

It is understood once autotrack has been imported, before the framework or after it; nothing is recorded by that.
"""

from __future__ import annotations

from autotrack.instrument.import_hooks import when_imported

OWNER = "autotrack.names"

# Which module has the list of known names, and what adds ours to it.
_LISTS = {
    "transformers.integrations.integration_utils": "autotrack.integrations.transformers.callback",
    "accelerate.tracking": "autotrack.integrations.accelerate",
}


def offer() -> None:
    """Add the name to the lists of the frameworks that are imported, now or later."""
    for module in _LISTS:
        when_imported(module, OWNER, _add)


def _add(module: str) -> None:
    from importlib import import_module

    import_module(_LISTS[module]).offer()
