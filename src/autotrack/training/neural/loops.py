"""Recording of hand-written PyTorch training loops, observed through the steps of their optimizers.

A global hook of torch is called after each step of any optimizer. It is registered while there is a listener: a watched
model, or autolog. It changes nothing in the loop. A step at which nothing is recorded costs about a microsecond.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack._guard import guarded
from autotrack.training.neural import modules, optimizers
from autotrack.training.neural.throughput import Stopwatch, Throughput, report_capture
from autotrack.training.neural.watching import Watcher
from autotrack.training.ownership import training_in_charge

if TYPE_CHECKING:
    from autotrack.recording.run import Run

EVERY = 10  # steps between two records of the learning rates
RATES_EVERY = 5.0  # seconds between two records of the throughput
LATER = 100  # steps after which an optimizer that belongs to no loop is checked again
MOST = 20  # optimizers, and schedulers, that are recorded
PATIENCE = 3  # checks of another optimizer without a step of the leading one, after which the other one leads
NEVER = sys.maxsize
_OURS = ("train/learning_rate", "train/steps_per_second", "system/", "gradients/", "weights/")
_DRIVERS = ("lightning.pytorch.", "pytorch_lightning.", "transformers.trainer", "keras.src.")
_MOST_FRAMES = 60


class _Known:
    """State of an observed optimizer: its number of `steps`, and the step at which it is `due` to be checked again."""

    __slots__ = ("due", "foreign", "lead_at", "loop", "patience", "steps", "watched")

    def __init__(self) -> None:
        self.steps = 0
        self.due = 0
        self.loop: Loop | None = None
        self.watched: list[WatchedModel] | None = None  # None: not yet determined
        self.foreign: bool | None = None  # whether a framework with an integration of its own drives the optimizer
        self.lead_at = -1  # the number of steps of the loop's leading optimizer at the last check
        self.patience = PATIENCE


class _Count:
    """Counts the steps of a loop by its leading optimizer: the first one, or another once that stops stepping."""

    def __init__(self) -> None:
        self._lead: _Known | None = None
        self._optimizer: weakref.ref[Any] | None = None
        self._before = 0
        self._start = 0

    @property
    def done(self) -> int:
        """The number of steps so far."""
        return self._before + self._lead.steps - self._start if self._lead is not None else 0

    def number(self, optimizer: Any, known: _Known) -> int | None:
        """The number of the step that `optimizer` has just done, from 0; None if another optimizer leads."""
        if known is not self._lead:
            if self._is_moving(known):
                return None
            self._before, self._start = self.done, known.steps - 1
            self._lead, self._optimizer = known, weakref.ref(optimizer)
        return self.done - 1

    def _is_moving(self, other: _Known) -> bool:
        """Whether the leading optimizer exists and has stepped during the last checks of the optimizer `other`."""
        if self._lead is None or self._optimizer is None or self._optimizer() is None:
            return False
        other.patience = other.patience - 1 if other.lead_at == self._lead.steps else PATIENCE
        other.lead_at = self._lead.steps
        return other.patience > 0


class Loop:
    """The loop of a run, from the first optimizer step in it to the end of the run."""

    def __init__(self, run: Run, every: int = EVERY) -> None:
        self.every = max(1, every)
        self.checkpoints: dict[str, Any] = {}  # `Checkpoints` of the files that the loop saves, by series
        self.stopwatch = Stopwatch()
        self._run = weakref.ref(run)
        self._optimizers: list[weakref.ref[Any]] = []
        self._schedulers: list[weakref.ref[Any]] = []
        self._count = _Count()
        self._rates: dict[str, Any] = {}
        self._pace = Throughput()
        self._looked = 0
        self._concluded = False
        self._process = os.getpid()

    @property
    def run(self) -> Run | None:
        """The run of the loop; None if it has been garbage-collected."""
        return self._run()

    @property
    def present_step(self) -> int | None:
        """The number of the latest step; None before the first."""
        return self._count.done - 1 if self._count.done else None

    def take(self, optimizer: Any) -> None:
        """Record an optimizer unless it is known in this loop; from the second one on, optimizers are numbered."""
        self._take(optimizer, self._optimizers, optimizers.record_optimizers)

    def take_scheduler(self, scheduler: Any) -> None:
        """Record a scheduler unless it is known in this loop; from the second one on, schedulers are numbered."""
        self._take(scheduler, self._schedulers, optimizers.record_schedulers)

    def _take(self, new: Any, known: list[weakref.ref[Any]], record: Callable[..., None]) -> None:
        run = self.run
        if run is None or any(one() is new for one in known):
            return
        known.append(weakref.ref(new))
        number = len(known) - 1
        if number == 1 and (first := known[0]()) is not None:
            record(run, first, first=0)
        if number < MOST:
            record(run, new, first=number or None)
        elif number == MOST:
            run.report("capture", f"only the first {MOST} {record.__name__.removeprefix('record_')} are recorded")

    def stepped(self, optimizer: Any, known: _Known) -> None:
        """After a step: record the learning rates if they changed, and the throughput every `RATES_EVERY` seconds."""
        step = self._count.number(optimizer, known)
        if step is not None:
            self._record(step)

    def _record(self, step: int) -> None:
        run = self.run
        if run is None:
            return
        self._pace.step(steps=step + 1 - self._looked)
        self._looked = step + 1
        rates = optimizers.learning_rates([one() for one in self._optimizers[:MOST]])
        row = dict(rates) if _differ(rates, self._rates) else {}
        self._rates = rates
        if self._pace.seconds >= RATES_EVERY:
            row.update(self._pace.rates())
        if row:
            run.log(row, step)

    def conclude(self) -> None:
        """Report at the end of the run how the loop was captured, and whether it logged no metric; only once."""
        run, steps = self.run, self._count.done
        if run is None or self._concluded or os.getpid() != self._process:
            return
        self._concluded = True
        if steps:
            self._record(steps - 1)
        _look_again()
        seen = {"optimizer steps": steps, "optimizers": len(self._optimizers), "schedulers": len(self._schedulers)}
        report_capture(run, "torch", hooks=["optimizer steps"], stopwatch=self.stopwatch, seen=seen)
        if not _has_metrics(run):
            run.report(
                "metrics", f"a training loop of {steps:,} optimizer steps logged none: run.log({{…}}) records them"
            )


class WatchedModel:
    """A watched model, until `remove` is called. See `Run.watch`."""

    def __init__(self, loop: Loop | None, module: Any, watcher: Watcher | None, chosen: list[Any]) -> None:
        self._loop = loop
        self._module = weakref.ref(module)
        self._watcher = watcher
        self._chosen = [weakref.ref(one) for one in chosen]
        self._first: int | None = None

    def remove(self) -> None:
        """Stop watching the model; what was recorded is kept. May be called more than once."""
        if self in _watching:
            _watching.remove(self)
            unlisten(self)
            _look_again()

    def __enter__(self) -> WatchedModel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.remove()

    def concerns(self, optimizer: Any) -> bool:
        """Whether the optimizer was passed to `watch` or, if none was, has parameters of the model."""
        if self._chosen:
            return any(one() is optimizer for one in self._chosen)
        module = self._module()
        if module is None:
            return False
        trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        return any(id(parameter) in trained for parameter in module.parameters())

    def look(self, optimizer: Any, step: int) -> int:
        """Record norms and histograms if they are due at step `step` of the optimizer; returns the next step due."""
        if self._watcher is None or not self._watcher.every or self._module() is None:
            return NEVER
        if self._chosen and self._chosen[0]() is not optimizer:
            return NEVER
        if self._first is None or step < self._first:
            self._first = step
        self._watcher.look(step - self._first)
        return step + self._watcher.every - (step - self._first) % self._watcher.every


_known: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()
_watching: list[WatchedModel] = []
_listeners: list[object] = []
_handles: list[Any] = []
_finders: list[Callable[[], Loop | None]] = []


def watch(run: Run, module: Any, optimizer: Any, every: int | None) -> WatchedModel:
    """Record a model and its optimizers in `run`, and its norms every `every` steps. See `Run.watch`."""
    if run.is_silent:
        return WatchedModel(None, module, None, [])
    with guarded("recording the model"):
        modules.record(run, module)
    loop = loop_of(run)
    chosen = [optimizers.unwrapped(one) for one in optimizers.as_list(optimizer)]
    with guarded("recording the optimizers"):
        for one in chosen:
            loop.take(one)
    inner, _ = modules.unwrapped(module)
    watcher = Watcher(run, weakref.proxy(inner), True if every is None else every)
    watching = WatchedModel(loop, inner, watcher, chosen)
    _watching.append(watching)
    run.last_words.append(watching.remove)
    with guarded("listening to optimizers"):
        listen(watching)
    _look_again()
    return watching


def loop_of(run: Run, every: int = EVERY) -> Loop:
    """The loop of a run, created on first use; it concludes when the run ends, or for another process's run at exit."""
    loop: Loop | None = run.loop
    if loop is None:
        loop = run.loop = Loop(run, every)
        run.last_words.append(loop.conclude)
        if not run.is_open:  # the run is finished by another process
            atexit.register(loop.conclude)
    return loop


def known_loop(optimizer: Any) -> Loop | None:
    """The loop in which an optimizer was last observed; None if it was never observed in one."""
    known = _known.get(optimizers.unwrapped(optimizer))
    return None if known is None else known.loop


def listen(listener: object, finder: Callable[[], Loop | None] | None = None) -> None:
    """Register `listener` and install the hook on optimizer steps.

    `finder` returns the loop of optimizers whose model is not watched, or None.
    """
    _listeners.append(listener)
    if finder is not None:
        _finders[:] = [finder]
        _look_again()
    if not _handles:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        _handles.append(register_optimizer_step_post_hook(_hook()))


def _look_again() -> None:
    for known in list(_known.values()):
        known.due = 0
        known.watched = None


def unlisten(listener: object) -> None:
    """Unregister `listener`; the last one removes the hook on optimizer steps."""
    if listener in _listeners:
        _listeners.remove(listener)
    if not _listeners:
        while _handles:
            _handles.pop().remove()
        _finders.clear()


def forget_finder() -> None:
    """Remove the finder, so that only optimizers of watched models are recorded."""
    _finders.clear()


def _hook() -> Callable[[Any, Any, Any], None]:
    import torch

    known_optimizers = _known
    # torch.compile evaluates this to a constant, so that it does not break the graph of a compiled step
    is_compiling = getattr(torch.compiler, "is_compiling", lambda: False)

    def stepped(optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if is_compiling():
            return
        try:
            known = known_optimizers.get(optimizer)
            if known is None:
                known = known_optimizers[optimizer] = _Known()
        except TypeError:  # the optimizer is not hashable or not weakly referable
            return
        step = known.steps
        known.steps = step + 1
        if step >= known.due:
            with guarded("recording a step of the training loop"):
                _look(optimizer, known, step)

    return stepped


def _look(optimizer: Any, known: _Known, step: int) -> None:
    if known.watched is None:
        known.watched = [one for one in _watching if one.concerns(optimizer)]
    loop = known.watched[-1]._loop if known.watched else _found(known, step)
    if loop is None:
        return
    torch = sys.modules["torch"]
    if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
        return
    with loop.stopwatch:
        if known.loop is not loop:
            known.loop, known.steps, step = loop, 1, 0
            loop.take(optimizer)
        loop.stepped(optimizer, known)
        next_looks = [one.look(optimizer, step) for one in known.watched]
        known.due = min([step + loop.every, *next_looks])


def _found(known: _Known, step: int) -> Loop | None:
    """The loop of an optimizer whose model is not watched; None if there is no run or a framework drives it."""
    if known.foreign is None and _finders and training_in_charge() is None:
        known.foreign = _is_driven()
    if known.foreign or not _finders or training_in_charge() is not None:
        known.due = step + LATER
        return None
    known.due = step + 1  # check again at the next step, as a run may be opened at any time
    return _finders[0]()


def _is_driven() -> bool:
    """Whether a framework with an integration of its own calls the optimizer, even if that integration is off."""
    frame: Any = sys._getframe(1)
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return False
        if f"{frame.f_globals.get('__name__', '')}.".startswith(_DRIVERS):
            return True
        frame = frame.f_back
    return False


def _has_metrics(run: Run) -> bool:
    """Whether the program has logged a metric of its own to the run in this process."""
    handles = run.collector.handles(run.id)
    return any(not key.startswith(_OURS) for handle in handles for key in handle.latest_metrics())


def _differ(rates: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether rates have changed; tensors count as changed, since comparing them would wait for their device."""
    if rates.keys() != before.keys():
        return True
    for key, rate in rates.items():
        if hasattr(rate, "device") or hasattr(before[key], "device"):
            return True
        if rate != before[key]:
            return True
    return False
