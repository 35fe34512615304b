"""What there is to know of this integration before scikit-learn is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autotrack.instrument.integration import Integration
from autotrack.instrument.options import Options

if TYPE_CHECKING:
    from autotrack.integrations.sklearn.hooking import Hooks


class SklearnIntegration(Integration):
    """Records the outermost fit of every estimator: scikit-learn's, third parties' and the user's own."""

    watches: ClassVar[tuple[str, ...]] = ("sklearn.base", "sklearn.metrics", "sklearn.model_selection")
    distribution: ClassVar[str] = "scikit-learn"
    requires: ClassVar[str] = ">=1.3"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._hooks: Hooks | None = None

    def install(self) -> None:
        """Observe all estimator classes that there are and that come, metrics, searches and validations."""
        if self._hooks is None:
            from autotrack.integrations.sklearn.hooking import Hooks

            self._hooks = Hooks(self.patches, lambda: self.options)
        self._hooks.install()

    def uninstall(self) -> None:
        """Put everything back as it was."""
        super().uninstall()
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.uninstall()
