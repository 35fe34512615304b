"""`%load_ext autotrack`: the same as `autotrack.autolog()`."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Record every training of the frameworks that are, or will be, imported; called by `%load_ext autotrack`."""
    from autotrack.instrument.discovery import install

    install(None, {})


def unload_ipython_extension(shell: Any) -> None:
    """Remove all patches; called by `%unload_ext autotrack`."""
    from autotrack.instrument.discovery import uninstall

    uninstall(None)
