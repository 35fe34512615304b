"""Telling when a module has been imported: a finder that looks for nothing itself and only listens.

For a module that somebody waits for, it asks the finders behind it, and lends the loader that they give a second
step: to tell, once the module is complete. The module keeps its own loader. This is the whole of what is needed of
such hooks here; the libraries for it cost more to import than everything else of autotrack.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # every program that imports autotrack loads this module: `typing` would be most of it
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class ListeningFinder:
    """To be put first on `sys.meta_path`. `tell(name)` is called after each import of a module in `awaited`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.awaited: set[str] = set()
        self._tell = tell

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, if somebody waits for the module; else nothing."""
        if name not in self.awaited:
            return None
        for finder in tuple(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _TellingLoader(spec.loader, self._tell)
                return spec  # type: ignore[no-any-return]
        return None


class _TellingLoader:
    """Stands for a loader until the module is executed, then takes itself out of the way."""

    def __init__(self, loader: Any, tell: Callable[[str], None]) -> None:
        self._loader = loader
        self._tell = tell

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._tell(module.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
