"""Import hooks: call a listener once a module has been imported, without importing it."""

from __future__ import annotations

import sys

from autotrack._guard import guarded
from autotrack._import_finder import NotifyingFinder

TYPE_CHECKING = False  # every program that imports autotrack loads this module
if TYPE_CHECKING:
    from collections.abc import Callable

_listeners: dict[str, dict[str, Callable[[str], None]]] = {}


def when_imported(module: str, owner: str, listener: Callable[[str], None]) -> None:
    """Call `listener(module)` as soon as `module` is imported, at once if it already is.

    Each `owner` has one listener per module, a second one replaces the first. A failing listener fails neither
    the import nor the others.
    """
    _listeners.setdefault(module, {})[owner] = listener
    if is_imported(module):
        _call(module, listener)
    _finder.awaited.add(module)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget(module: str, owner: str) -> None:
    """Remove the listener of `owner` for `module`; with the last listener the finder leaves `sys.meta_path`."""
    listeners = _listeners.get(module, {})
    listeners.pop(owner, None)
    if not listeners:
        _listeners.pop(module, None)
        _finder.awaited.discard(module)
    if not _finder.awaited and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def is_imported(module: str) -> bool:
    """Whether the import of `module` has been completed, as opposed to not started or still in progress."""
    found = sys.modules.get(module)
    spec = getattr(found, "__spec__", None)
    return found is not None and not getattr(spec, "_initializing", False)


def _call_all(module: str) -> None:
    for listener in tuple(_listeners.get(module, {}).values()):
        _call(module, listener)


def _call(module: str, listener: Callable[[str], None]) -> None:
    with guarded(f"after the import of {module}"):
        listener(module)


_finder = NotifyingFinder(_call_all)
