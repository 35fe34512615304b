"""Mirroring of calls to other trackers (MLflow, W&B, TensorBoard, …) into the active run, without duplicates.

The first run of another tracker is mirrored into the run that is active here: the user's, a training's, the job's. A
further run of the same tracker becomes a child of that run, so that its params do not replace those of the first. If
no run is active, a run is opened that has the name, experiment and tags of the tracker's run, and ends with it.

Two rules prevent duplicates. Calls by which a framework's own logger or callback forwards facts of a training that is
recorded here anyway are ignored (`is_forwarded`). And if two trackers get the same value of the same metric at the
same step in the same run, only the first one is recorded.
"""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from autotrack.events import FinalStatus
from autotrack.exceptions import InvalidValueError
from autotrack.instrument import discovery
from autotrack.instrument.patching import Watch
from autotrack.instrument.trampolines import FILENAME
from autotrack.recording.collector import collector, recording_allowed
from autotrack.recording.lifecycle.start import run_for_late_facts, start_run
from autotrack.recording.run import NullRun, Run, active_run, last_run

REMEMBERED = 16  # latest points of each metric with which a point from another tracker is compared

# Modules that forward a framework's facts to a tracker, as opposed to calls by the user's own code. Each with the
# integration that records the framework itself; "" if the module does not determine it.
_FORWARDERS = {
    "lightning.pytorch.loggers": "lightning", "lightning.fabric.loggers": "lightning",
    "pytorch_lightning.loggers": "lightning", "lightning_fabric.loggers": "lightning",
    "mlflow.pytorch._lightning": "lightning", "transformers.integrations": "transformers",
    "keras.src.callbacks": "keras", "keras.callbacks": "keras", "mlflow.keras.callback": "keras",
    "wandb.integration.keras": "keras", "wandb.integration": "", "mlflow.utils.autologging_utils": "",
}  # fmt: skip
_BETWEEN = ("autotrack", "contextlib", "functools", "concurrent.futures", "threading")

_Points = dict[str, deque[tuple[int, float, str]]]
_joined: weakref.WeakKeyDictionary[Run, set[str]] = weakref.WeakKeyDictionary()
_points: weakref.WeakKeyDictionary[Run, _Points] = weakref.WeakKeyDictionary()
_told: weakref.WeakKeyDictionary[Run, set[str]] = weakref.WeakKeyDictionary()


class Heard:
    """One run of the other tracker `source` ("mlflow"), whose facts are recorded in `run`.

    Without `run`, they are recorded in the run that `autotrack.log` uses at that moment. Facts that cannot be recorded
    are named in the capture report. With `owned`, `run` ends with the tracker's run.
    """

    def __init__(self, source: str, run: Run | None = None, *, owned: bool = False) -> None:
        self.source = source
        self._run = run
        self._owned = owned
        self._failure: BaseException | None = None

    def target(self) -> Run | None:
        """The autotrack run in which facts are recorded now; None if recording is off or paused."""
        if not recording_allowed():
            return None
        return run_for_late_facts() if self._run is None else self._run

    def metrics(self, values: Mapping[str, Any], step: int | None = None, time: float | None = None) -> None:
        """Record metrics that the program logged to the other tracker, except texts and known duplicates."""
        run = self.target()
        if run is None:
            return
        numbers = {key: value for key, value in values.items() if not isinstance(value, (str, bytes))}
        fresh = {key: value for key, value in numbers.items() if not self._is_known(run, key, value, step)}
        if fresh:
            with self._naming(run, "metrics", fresh):
                run.log(fresh, step, time=time)

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters."""
        run = self.target()
        if run is not None and values:
            with self._naming(run, "params", values):
                run.log_params(values)

    def tags(self, values: Mapping[str, Any]) -> None:
        """Record tags."""
        run = self.target()
        if run is not None and values:
            with self._naming(run, "tags", values):
                run.set_tags(values)

    def file(self, path: str | Path, name: str) -> None:
        """Record a copy of a file or folder as the artifact `name`, if it exists."""
        run = self.target()
        if run is not None and Path(path).exists():
            with self._naming(run, "artifact", (name,)):
                run.log_artifact(path, name)

    def content(self, data: bytes, name: str, media_type: str = "") -> None:
        """Record the bytes of a file in memory as the artifact `name`."""
        run = self.target()
        if run is not None:
            with self._naming(run, "artifact", (name,)):
                run.log_bytes(data, name, media_type=media_type)

    def shown(self, name: str, value: Any, step: int | None = None) -> None:
        """Record a figure, an image or a table as media."""
        run = self.target()
        if run is not None:
            with self._naming(run, "media", (name,)):
                run.log({name: value}, step)

    def model(self, name: str, flavor: str, files: Mapping[str, Path], meta: Mapping[str, Any]) -> None:
        """Record a model, from the files that the other tracker saved; beyond `model_limit` it is only reported."""
        run = self.target()
        if run is None:
            return
        size, limit = sum(path.stat().st_size for path in files.values()), run.collector.settings.model_limit
        if limit is not None and size > limit:
            lifts = f"model_limit={limit:,}; configure(model_limit=None) lifts it"
            self.missed(f"the model {name} was not kept: its {size:,} bytes exceed {lifts}")
            return
        with self._naming(run, "model", (name,)):
            run.record_model(name, flavor, files, meta)

    def note(self, text: str) -> None:
        """Record a note."""
        run = self.target()
        if run is not None:
            run.note(text)

    def missed(self, message: str) -> None:
        """Add `message`, about facts that were not recorded, to the capture report; once per run."""
        run = self.target()
        if run is not None and message not in _told.setdefault(run, set()):
            _told[run].add(message)
            run.report(self.source, message)

    def failing(self, error: BaseException | None) -> None:
        """Remember the exception that is about to end the tracker's run, for `finish`."""
        self._failure = error

    def finish(self, status: FinalStatus = "finished") -> None:
        """Finish the run, if it was opened for the tracker's run, which has ended."""
        if self._owned and self._run is not None:
            failure = self._failure if status != "finished" else None
            self._run.finish(status, failure=failure)

    def _naming(self, run: Run, what: str, names: Any) -> _Naming:
        return _Naming(self, run, what, list(names))

    def _is_known(self, run: Run, key: str, value: Any, step: int | None) -> bool:
        """Whether another tracker has logged the same point to `run`; also remembers this point."""
        if type(value) not in (int, float) or step is None:
            return False
        points = _points.setdefault(run, {}).setdefault(key, deque(maxlen=REMEMBERED))
        known = any(point[:2] == (step, value) and point[2] != self.source for point in points)
        points.append((step, float(value), self.source))
        return known


class _Naming:
    """Context that reports an `InvalidValueError` or `OSError` in the capture report; other exceptions propagate."""

    def __init__(self, heard: Heard, run: Run, what: str, names: list[str]) -> None:
        self._told = heard, run, what, names

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, (InvalidValueError, OSError)):
            return False
        heard, run, what, names = self._told
        run.report(heard.source, f"{what} {', '.join(map(str, names))} were not taken: {error}")
        return True


def begin(
    source: str,
    *,
    name: str | None = None,
    experiment: str | None = None,
    tags: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Heard:
    """Begin to mirror a new run of the tracker `source`, with its `name`, `experiment` and the user's `tags`.

    `facts` are tags that identify the run in the other tracker.
    """
    if not recording_allowed():
        return Heard(source)
    around = active_run()
    if around is not None and not around.implicit and source not in _joined.setdefault(around, set()):
        _joined[around].add(source)
        heard = Heard(source, around)
        named = {f"{source}.{word}": value for word, value in (("experiment", experiment), ("name", name)) if value}
        heard.tags({**named, **(facts or {}), **(tags or {})})
        return heard
    run = start_run(name, experiment=experiment)
    _joined.setdefault(run, set()).add(source)
    heard = Heard(source, run, owned=not isinstance(run, NullRun))
    heard.tags({**(facts or {}), **(tags or {})})
    return heard


def is_forwarded(*own: str, framework: str = "") -> bool:
    """Whether the observed call forwards facts of a training that is recorded here anyway.

    `own` are the top-level names of the tracker's modules; the first caller outside of them decides. True if that is a
    logger or callback of a framework whose integration is active, or of any framework while the active (or else last)
    run is a training or contains one. `framework` is the integration where the module does not determine it.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        found = _forwards_for(module)
        if found is not None:
            return discovery.is_active(found or framework) or _records_trainings()
        if frame.f_code.co_filename != FILENAME and module.partition(".")[0] not in own and not _is_between(module):
            return False
        frame = frame.f_back
    return False


@functools.lru_cache(maxsize=1024)
def _forwards_for(module: str) -> str | None:
    """The integration for a forwarding module, "" if the module does not determine it; None for other modules."""
    return next((name for prefix, name in _FORWARDERS.items() if module.startswith(prefix)), None)


def _is_between(module: str) -> bool:
    return module.startswith(_BETWEEN)


def _records_trainings() -> bool:
    run = active_run() or last_run(collector())
    return run is not None and (run.kind in ("training", "search") or run._trainings > 0)


class Returned(Watch):
    """The watch of an observed call that passes the returned value to `take`."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self._take = take

    def returned(self, result: Any) -> None:
        """Pass `result`, which the call returned, to `take`."""
        self._take(result)


@functools.lru_cache(maxsize=128)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def bound(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of an observed call by name, defaults included; `instance` is None for a function."""
    found = _signature(wrapped).bind(*(args if instance is None else (instance, *args)), **kwargs)
    found.apply_defaults()
    return found.arguments
