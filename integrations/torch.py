"""Plain PyTorch loops: records their optimizers, schedulers and saved files without changing the loop.

In an open run, or under `autotrack run`, an optimizer or scheduler is recorded at its first step, and learning rates
as they change. Trainings by Lightning, transformers or Keras are left to their integrations.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from autotrack.instrument.patching import Watch
from autotrack.integrations.base import Integration, Options
from autotrack.recording.collector import recording_allowed
from autotrack.recording.run import Run, active_run
from autotrack.training.checkpoints import Checkpoints
from autotrack.training.neural import loops
from autotrack.training.ownership import training_in_charge

SCHEDULER = "torch.scheduler.step"
SAVE = "torch.save"
MOST_SERIES = 20
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class TorchOptions(Options):
    """`log_every` is the number of optimizer steps between two readings of the learning rates, by default 10."""


class TorchIntegration(Integration):
    """Records optimizers, schedulers and saved state of hand-written training loops."""

    watches: ClassVar[tuple[str, ...]] = ("torch",)
    distribution: ClassVar[str] = "torch"
    requires: ClassVar[str] = ">=2.1"
    options_type: ClassVar[type[Options]] = TorchOptions

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._inside = threading.local()
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def install(self) -> None:
        """Observe the steps of optimizers and schedulers, and calls of `torch.save`."""
        import torch
        from torch.optim import lr_scheduler

        loops.listen(self, self._loop)
        self.patches.observe(SCHEDULER, self._on_scheduler)
        for name in ("LRScheduler", "_LRScheduler", "ReduceLROnPlateau"):
            for kind in _with_descendants(getattr(lr_scheduler, name, None)):
                self.patches.method(kind, "step", SCHEDULER)
        self.patches.observe(SAVE, self._on_save)
        save: Any = torch.save
        self.patches.function(save, SAVE)

    def uninstall(self) -> None:
        """Remove the hook and the patches."""
        super().uninstall()
        loops.forget_finder()
        loops.unlisten(self)

    def _loop(self) -> loops.Loop | None:
        """The loop of the active run; None if there is no run to record in."""
        run = active_run()
        if run is None or run.is_silent or not recording_allowed():
            return None
        every = self.options.log_every
        return loops.loop_of(run, every if isinstance(every, int) else loops.EVERY)

    def _on_scheduler(
        self, wrapped: Any, scheduler: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _SchedulerStep | None:
        depth = getattr(self._inside, "depth", 0)
        if depth == 0 and scheduler in self._seen:
            return None
        self._inside.depth = depth + 1
        return _SchedulerStep(self, scheduler)

    def _stepped(self, scheduler: Any) -> None:
        """Record a scheduler after its step, unless it is nested in another one or steps in its constructor."""
        if self._inside.depth or getattr(scheduler, "last_epoch", 1) < 1:
            return
        loop = loops.known_loop(getattr(scheduler, "optimizer", None) or _first_optimizer(scheduler))
        if loop is not None:
            self._seen.add(scheduler)
            loop.take_scheduler(scheduler)

    def _on_save(self, wrapped: Any, _: None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Saved | None:
        what, where = args[:2]
        if not isinstance(where, (str, os.PathLike)) or training_in_charge() is not None or not _is_state(what):
            return None
        run = active_run()
        if run is None or run.loop is None or not recording_allowed():
            return None
        return _Saved(self, run, os.fspath(where))

    def _saved(self, run: Run, path: str) -> None:
        """Record a saved file as a checkpoint; files whose paths differ only in numbers form one series."""
        loop = run.loop
        series = _DIGITS.sub("#", os.path.abspath(path))
        checkpoints = loop.checkpoints.get(series)
        if checkpoints is None:
            if len(loop.checkpoints) == MOST_SERIES:
                run.report("checkpoint", f"not kept: {path}, as there are {MOST_SERIES} series of saved files already")
                return
            checkpoints = loop.checkpoints[series] = Checkpoints(run, self.options.checkpoints)
            run.last_words.append(checkpoints.finish)
        checkpoints.saved(path, step=loop.present_step, best="best" in os.path.basename(path).lower())


class _SchedulerStep:
    """Watch of a scheduler's step, during which nested schedulers may step."""

    def __init__(self, owner: TorchIntegration, scheduler: Any) -> None:
        self._owner = owner
        self._scheduler = scheduler

    def returned(self, result: Any) -> None:
        self._owner._inside.depth -= 1
        self._owner._stepped(self._scheduler)

    def raised(self, error: BaseException) -> None:
        self._owner._inside.depth -= 1


class _Saved(Watch):
    """Watch of a `torch.save` call: records the file after it has been written."""

    def __init__(self, owner: TorchIntegration, run: Run, path: str) -> None:
        self._owner = owner
        self._run = run
        self._path = path

    def returned(self, result: Any) -> None:
        self._owner._saved(self._run, self._path)


def _is_state(what: Any) -> bool:
    """Whether `what` looks like a training's state: a module, or a mapping with tensors, mappings or modules."""
    torch = sys.modules["torch"]
    if isinstance(what, torch.nn.Module):
        return True
    return isinstance(what, Mapping) and any(
        isinstance(value, (torch.Tensor, Mapping, torch.nn.Module)) for value in list(what.values())[:1000]
    )


def _first_optimizer(scheduler: Any) -> Any:
    inner = getattr(scheduler, "_schedulers", None) or [None]
    return getattr(inner[0], "optimizer", None)


def _with_descendants(kind: Any) -> Iterator[type]:
    if kind is not None:
        yield kind
        for child in type.__subclasses__(kind):
            yield from _with_descendants(child)
