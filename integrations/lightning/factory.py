"""The function that Lightning finds under its entry points for callbacks, and calls when a `Trainer` is made.

Loaded by Lightning without a guard: imports nothing but the standard library, and raises nothing.
"""

from __future__ import annotations

import sys
from typing import Any


def callbacks() -> list[Any]:
    """A list with the callback that forwards events to a recording, if Lightning is hooked; else an empty list."""
    hooks = sys.modules.get("autotrack.integrations.lightning.hooks")
    try:
        return [] if hooks is None else list(hooks.callbacks_for_trainer())
    except Exception:  # noqa: BLE001 - the trainer would not come into being
        return []
