"""Post-import hooks: a meta path finder that calls a function after an awaited module has been imported.

The finder finds no module itself. For an awaited module it asks the other finders and wraps the loader that they
return, so that `notify` is called once the module has been executed. The module keeps its own loader. Libraries for
such hooks cost more to import than everything else that `import autotrack` loads.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # every program that imports autotrack loads this module: `typing` would be most of it
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class NotifyingFinder:
    """Finder for the front of `sys.meta_path`: calls `notify(name)` after each import of a module in `awaited`."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.awaited: set[str] = set()
        self._notify = notify

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders return for an awaited module; None for any other."""
        if name not in self.awaited:
            return None
        for finder in tuple(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _NotifyingLoader(spec.loader, self._notify)
                return spec  # type: ignore[no-any-return]
        return None


class _NotifyingLoader:
    """Stands in for a module's loader until the module has been executed."""

    def __init__(self, loader: Any, notify: Callable[[str], None]) -> None:
        self._loader = loader
        self._notify = notify

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._notify(module.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
