"""Registers the name "autotrack" with frameworks that select trackers by name, as in `report_to="autotrack"`.

The name is known once both autotrack and the framework have been imported, in either order; nothing is recorded by
that alone.
"""

from __future__ import annotations

import sys

from autotrack.instrument.import_hooks import when_imported

OWNER = "autotrack.names"

# The module that has a framework's list of names, and the integration's module whose `offer()` adds ours to it.
_LISTS = {
    "transformers.integrations.integration_utils": "autotrack.integrations.transformers.callback",
    "accelerate.tracking": "autotrack.integrations.accelerate",
}


def offer() -> None:
    """Add the name to the lists of the frameworks that are imported, now or later."""
    for framework, integration in _LISTS.items():
        when_imported(integration, OWNER, _add)
        when_imported(framework, OWNER, _load)


def _load(framework: str) -> None:
    """Import the integration, unless it is being imported and has itself imported the framework."""
    from importlib import import_module

    import_module(_LISTS[framework])


def _add(integration: str) -> None:
    sys.modules[integration].offer()
