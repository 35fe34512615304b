"""Weights & Biases: records also what the program logs to W&B, whose own records stay unchanged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar

from autotrack.integrations.base import Integration, Options
from autotrack.training import other_trackers
from autotrack.training.other_trackers import Heard, Returned, bound

SOURCE = "wandb"
_INTERNAL = "_wandb"
_NOTHING: Any = object()


class WandbIntegration(Integration):
    """Records runs, metrics, configuration and artifacts that the program logs to W&B."""

    watches: ClassVar[tuple[str, ...]] = ("wandb",)
    distribution: ClassVar[str] = "wandb"
    requires: ClassVar[str] = ">=0.15"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._runs: dict[str, Heard] = {}
        self._configs: dict[str, dict[str, Any]] = {}

    def install(self) -> None:
        """Patch `wandb.init` and the methods of runs and their configuration."""
        run, init = sys.modules["wandb.sdk.wandb_run"].Run, sys.modules["wandb.sdk.wandb_init"].init
        config = sys.modules["wandb.sdk.wandb_config"].Config
        for name, observer in (("log", self._on_log), ("log_artifact", self._on_artifact)):
            self._method(run, name, observer)
        for name in ("finish", "__exit__"):
            self._method(run, name, self._on_end)
        for name in ("__setitem__", "__setattr__", "update", "setdefaults", "update_locked"):
            self._method(config, name, self._on_config)
        if type(init) is FunctionType and self.patches.function(init, "wandb.init"):
            self.patches.observe("wandb.init", self._on_init)

    def uninstall(self) -> None:
        """Undo the patches; our runs that were opened for a W&B run stay open until the program ends."""
        super().uninstall()
        self._runs.clear()
        self._configs.clear()

    def _method(self, owner: type, name: str, observer: Callable[..., Any]) -> None:
        key = f"wandb.{owner.__name__}.{name}"
        if self.patches.method(owner, name, key):
            self.patches.observe(key, observer)

    def _heard(self, run: Any) -> Heard:
        """The recording of the W&B run; begun now if the start of the run was not observed."""
        found = self._runs.get(run.id)
        return self._begun(run) if found is None else found

    def _begun(self, run: Any, notes: str | None = None) -> Heard:
        options = self.options
        named = {"wandb.run_id": run.id, "wandb.group": run.group, "wandb.job_type": run.job_type}
        named["wandb.tags"] = ", ".join(run.tags or ())
        heard = self._runs[run.id] = other_trackers.begin(
            SOURCE,
            name=options.name or run.name or None,
            experiment=options.experiment or run.project or None,
            tags=options.tags,
            facts={key: value for key, value in named.items() if value},
        )
        if notes:
            heard.note(notes)
        self._take_config(heard, run.id, run.config)
        return heard

    def _take_config(self, heard: Heard, run_id: str, config: Any) -> None:
        """Record new and changed entries of the configuration as params."""
        known, values = self._configs.setdefault(run_id, {}), config.as_dict()
        fresh = {
            key: value
            for key, value in values.items()
            if key != _INTERNAL and (key not in known or known[key] is not value)
        }
        known.update(fresh)
        heard.params(fresh)

    def _on_init(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Returned | None:
        late = other_trackers.is_forwarded(SOURCE)
        notes = bound(wrapped, None, args, kwargs).get("notes")

        def begun(run: Any) -> None:
            if run.id in self._runs:
                return
            if late:
                self._runs[run.id] = Heard(SOURCE)
            else:
                self._begun(run, notes)

        return Returned(begun)

    def _on_log(self, wrapped: Any, run: Any, args: Any, kwargs: Any) -> None:
        if other_trackers.is_forwarded(SOURCE):
            return
        given = bound(wrapped, run, args, kwargs)
        step, data = given.get("step"), given.get("data")
        if isinstance(data, Mapping):
            self._take(self._heard(run), data, run.step if step is None else step)

    def _take(self, heard: Heard, data: Mapping[str, Any], step: int) -> None:
        others: dict[str, Any] = {}
        numbers = _numbers(data, others)
        if numbers:
            heard.metrics(numbers, step)
        for key, value in others.items():
            shown = _shown(value)
            if shown is _NOTHING:
                heard.missed(f"{key} was not taken: a {type(value).__name__} has no place here")
            else:
                heard.shown(key, shown, step)

    def _on_artifact(self, wrapped: Any, run: Any, args: Any, kwargs: Any) -> None:
        if other_trackers.is_forwarded(SOURCE):
            return
        given, heard = bound(wrapped, run, args, kwargs), self._heard(run)
        artifact: Any = given.get("artifact_or_path")
        if isinstance(artifact, (str, Path)):
            heard.file(artifact, str(given.get("name") or Path(artifact).name))
            return
        for name, entry in getattr(getattr(artifact, "manifest", None), "entries", {}).items():
            if entry.local_path:
                heard.file(entry.local_path, f"{artifact.name.partition(':')[0]}/{name}")
            else:
                heard.missed(f"{name} of the artifact {artifact.name} lies elsewhere and was not taken")

    def _on_config(self, wrapped: Any, config: Any, args: Any, kwargs: Any) -> Returned | None:
        run = getattr(config.__dict__.get("_callback"), "__self__", None)
        if run is None or run.id not in self._runs or other_trackers.is_forwarded(SOURCE):
            return None
        return Returned(lambda _: self._take_config(self._heard(run), run.id, config))

    def _on_end(self, wrapped: Any, run: Any, args: Any, kwargs: Any) -> Returned | None:
        heard = self._runs.get(run.id)
        if heard is None:
            return None
        given = bound(wrapped, run, args, kwargs)
        heard.failing(given.get("exc_val"))
        failed = bool(given.get("exit_code")) or given.get("exc_val") is not None
        return Returned(lambda _: heard.finish("failed" if failed else "finished"))


def _numbers(data: Mapping[str, Any], others: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The numbers in `data`, with nested keys joined by dots as in W&B; other values are added to `others`."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found.update(_numbers(value, others, f"{name}."))
        elif isinstance(value, (int, float)) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0):
            found[name] = value
        else:
            others[name] = value
    return found


def _shown(value: Any) -> Any:
    """The value to log as media: the content of a W&B image or table; `_NOTHING` for other W&B types."""
    kind = type(value).__name__
    if isinstance(value, str):
        return value
    if type(value).__module__.startswith("wandb."):
        if kind == "Image":
            return value.image
        if kind == "Table":
            return value.get_dataframe()
        return _NOTHING
    return value
