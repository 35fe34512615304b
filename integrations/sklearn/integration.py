"""The integration's entry point: light enough to load before scikit-learn is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from autotrack.exceptions import ConfigurationError
from autotrack.instrument.integration import Integration
from autotrack.instrument.options import Options
from autotrack.instrument.patching import Observer, Watch
from autotrack.integrations.sklearn.places import Places

if TYPE_CHECKING:
    from autotrack.integrations.sklearn.hooks import Hooks


@dataclass(frozen=True, kw_only=True)
class SklearnOptions(Options):
    """The options of scikit-learn: `also` are classes with a `fit` that are estimators though they inherit nothing."""

    also: Sequence[type] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in self.also:
            if not isinstance(kind, type) or not callable(getattr(kind, "fit", None)):
                raise ConfigurationError(f"also={self.also!r}: {kind!r} is no class with a method fit")


class SklearnIntegration(Integration):
    """Records the outermost fit of every estimator: scikit-learn's, third parties' and the user's own."""

    watches: ClassVar[tuple[str, ...]] = ("sklearn.base", "sklearn.metrics", "sklearn.model_selection")
    distribution: ClassVar[str] = "scikit-learn"
    requires: ClassVar[str] = ">=1.3"
    options_type: ClassVar[type[Options]] = SklearnOptions

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._places = Places(self.patches, self._observer)
        self._loaded: dict[str, Hooks] = {}

    def install(self) -> None:
        """Patch all existing and future estimator classes, metric functions, searches and validations."""
        self._places.install(getattr(self.options, "also", ()))

    def changed(self) -> None:
        """Patch the classes that the new options name."""
        self.install()

    def uninstall(self) -> None:
        """Undo the patches and end open `partial_fit` loops."""
        super().uninstall()
        self._places.forget()
        hooks = self._loaded.pop("hooks", None)
        if hooks is not None:
            hooks.stop()

    def _observer(self, key: str) -> Observer:
        """An observer that imports the recording modules at its first call, to keep `autolog()` fast."""

        def observe(*call: Any) -> Watch | None:
            hooks = self._loaded.get("hooks") or self._load()
            return hooks.observer(key)(*call)

        return observe

    def _load(self) -> Hooks:
        from autotrack.integrations.sklearn.hooks import Hooks

        made = Hooks(self._places.functions, lambda: self.options)
        hooks = self._loaded.setdefault("hooks", made)  # if two threads load at once, both use the first one's
        hooks.start()
        return hooks
