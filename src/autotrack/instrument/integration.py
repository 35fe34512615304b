"""The base class of integrations, and patches that several users of one framework share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from autotrack.instrument.options import Options
from autotrack.instrument.patching import Patches


class Integration:
    """One framework's integration; `install` and `uninstall` may alternate any number of times.

    `watches` are the modules after whose import it is installed, `distribution` is what users install, `requires` a
    range of its versions such as ">=1.3,<3". The class is loaded without the framework, by the commands too.
    """

    watches: ClassVar[tuple[str, ...]] = ()
    distribution: ClassVar[str] = ""
    requires: ClassVar[str] = ""
    options_type: ClassVar[type[Options]] = Options

    def __init__(self, options: Any) -> None:
        self.options = options
        self.patches = Patches()

    def install(self) -> None:
        """Hook into the framework, which is imported; called again after the import of each watched module."""
        raise NotImplementedError

    def changed(self) -> None:
        """Called when other `options` were given to the installed integration; by default there is nothing to do."""

    def uninstall(self) -> None:
        """Remove every trace of `install`."""
        self.patches.undo()


class SharedPatches:
    """Patches of one framework that stay as long as any holder needs them: autolog, a callback, a logger.

    `put(patches)` installs them. It is called at each `hold`, because further modules may have been imported since.
    """

    def __init__(self, put: Callable[[Patches], None]) -> None:
        self.holders: set[str] = set()
        self._put = put
        self._patches = Patches()

    def hold(self, holder: str) -> None:
        """Register `holder` and install the patches."""
        self.holders.add(holder)
        self._put(self._patches)

    def release(self, holder: str) -> None:
        """Unregister `holder`; after the last one the patches are removed."""
        self.holders.discard(holder)
        if not self.holders:
            self._patches.undo()
