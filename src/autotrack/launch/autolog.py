"""`autotrack.autolog`, in a module of its own to be fast: with scikit-learn imported, the first call takes a few ms."""

from __future__ import annotations

from typing import Any


def autolog(*names: str, disable: bool = False, **options: Any) -> None:
    """Record every training of the frameworks that are, or will be, imported.

    `names` choose frameworks ("sklearn"), by default all. `options` mean the same for each: `log_models`, `experiment`,
    `tags`, …; `ConfigurationError` for one that none of them has. `disable=True` removes all patches.
    """
    from autotrack.instrument.discovery import install, uninstall
    from autotrack.launch import startup

    startup.activate()  # a pending autolog of `startup` is installed first, so that this call overrides it
    if disable:
        uninstall(names or None)
    else:
        install(names or None, options)
