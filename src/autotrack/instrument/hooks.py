"""Hearing of imports: what is called once a module has been imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

from autotrack._guard import guarded

_listeners: dict[str, dict[str, Callable[[str], None]]] = {}
_registered: set[str] = set()


def when_imported(module: str, owner: str, listener: Callable[[str], None]) -> None:
    """Call `listener(module)` as soon as `module` is imported, at once if it is.

    Each `owner` has one listener per module, a second one replaces the first. A failing listener fails neither
    the import nor the others.
    """
    _listeners.setdefault(module, {})[owner] = listener
    if is_imported(module):
        _call(module, listener)
    elif module not in _registered:
        import wrapt

        _registered.add(module)
        wrapt.register_post_import_hook(_heard, module)


def forget(module: str, owner: str) -> None:
    """Call nothing of `owner` for `module` any more; the hook stays in the import system and does nothing."""
    _listeners.get(module, {}).pop(owner, None)


def is_imported(module: str) -> bool:
    """Whether `module` is imported to its end, as opposed to not at all or being imported right now."""
    found = sys.modules.get(module)
    spec = getattr(found, "__spec__", None)
    return found is not None and not getattr(spec, "_initializing", False)


def _heard(module: ModuleType) -> None:
    for listener in tuple(_listeners.get(module.__name__, {}).values()):
        _call(module.__name__, listener)


def _call(module: str, listener: Callable[[str], None]) -> None:
    with guarded(f"after the import of {module}"):
        listener(module)
