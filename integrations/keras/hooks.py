"""Where Keras is hooked: `fit` and `evaluate` of its trainer, and the list of callbacks that both of them call.

Autolog and callbacks share the hooks, which stay as long as autolog is on or a callback is alive. In
`model.fit(…, callbacks=[AutotrackCallback()])` the method is looked up before the callback is made. So the code object
of `fit` is swapped, which takes effect in a method that was looked up before. A training is observed by a callback of
ours that is appended to the list of callbacks when training begins and removed at the end: Keras has made that list
by then and decided how to call it, and the user's own list is not changed.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Patches
from autotrack.integrations.keras.batch_loops import BatchLoop, loop_of
from autotrack.integrations.keras.calls import Call, bound_call
from autotrack.integrations.keras.checkpointing import BackupLoaded, BackupSaved, ModelSaved
from autotrack.integrations.keras.evaluating import EvaluateCall
from autotrack.integrations.keras.fitting import Fit
from autotrack.integrations.keras.options import Holder, KerasOptions
from autotrack.recording.collector import recording_allowed
from autotrack.settings import switched_off

FIT = "keras.fit"
EVALUATE = "keras.evaluate"
TRAIN_ON_BATCH = "keras.train_on_batch"
MODEL_SAVED = "keras.model_saved"
BACKUP_SAVED = "keras.backup_saved"
BACKUP_LOADED = "keras.backup_loaded"
TRAIN_BEGIN = "keras.train_begin"
TRAIN_END = "keras.train_end"
EPOCH_END = "keras.epoch_end"
TEST_END = "keras.test_end"

_patches = Patches()
_signatures: dict[str, inspect.Signature] = {}
_callbacks: weakref.WeakSet[Any] = weakref.WeakSet()
_integrations: list[Holder] = []
_fit: ContextVar[Fit | None] = ContextVar("autotrack_keras_fit", default=None)
_evaluation: ContextVar[EvaluateCall | None] = ContextVar("autotrack_keras_evaluation", default=None)


def switch_on(integration: Holder) -> None:
    """Hook into Keras, which is imported, for autolog."""
    if switched_off():
        return
    if integration not in _integrations:
        _integrations.append(integration)
    _install()


def switch_off(integration: Holder) -> None:
    """Remove the hooks, unless a callback still needs them."""
    if integration in _integrations:
        _integrations.remove(integration)
    _tidy()


def hold(callback: Holder) -> None:
    """Hook into Keras for as long as `callback` is alive."""
    if switched_off():
        return
    _callbacks.add(callback)
    weakref.finalize(callback, _tidy).atexit = False
    _install()


def _tidy() -> None:
    if not _integrations and not list(_callbacks):
        _patches.undo()


def _install() -> None:
    keras: Any = sys.modules["keras"]
    for name, key, observer in (
        ("fit", FIT, _on_fit),
        ("evaluate", EVALUATE, _on_evaluate),
        ("train_on_batch", TRAIN_ON_BATCH, _on_train_on_batch),
    ):
        _patches.observe(key, observer)
        function = next(vars(parent)[name] for parent in keras.Model.__mro__ if name in vars(parent))
        if _patches.function(function, key):
            _signatures[key] = inspect.signature(function)
    for name, key, heard in (
        ("on_train_begin", TRAIN_BEGIN, _on_train_begin),
        ("on_train_end", TRAIN_END, _on_train_end),
        ("on_epoch_end", EPOCH_END, _on_epoch_end),
        ("on_test_end", TEST_END, _on_test_end),
    ):
        _patches.observe(key, heard)
        _patches.method(keras.callbacks.CallbackList, name, key)
    for kind, name, key, writes in (
        (keras.callbacks.ModelCheckpoint, "_save_model", MODEL_SAVED, _on_model_saved),
        (keras.callbacks.BackupAndRestore, "_save_model", BACKUP_SAVED, _on_backup_saved),
        (keras.callbacks.BackupAndRestore, "_load_model", BACKUP_LOADED, _on_backup_loaded),
    ):
        _patches.observe(key, writes)
        _patches.method(kind, name, key)


def _chosen(callbacks: Any) -> KerasOptions | None:
    """The options of a training with these callbacks; None if it is not to be recorded."""
    ours = next((one for one in _flat(callbacks) if _is_ours(one)), None)
    if ours is not None:
        options: KerasOptions = ours.options
        return options if recording_allowed(automatic=False) else None
    return _autolog_options() if _integrations and recording_allowed() else None


def _autolog_options() -> KerasOptions:
    chosen = _integrations[-1].options if _integrations else None
    return chosen if isinstance(chosen, KerasOptions) else KerasOptions()


def _is_ours(callback: Any) -> bool:
    module = sys.modules.get("autotrack.integrations.keras.callback")
    return module is not None and isinstance(callback, module.AutotrackCallback)


def _flat(callbacks: Any) -> list[Any]:
    inner = getattr(callbacks, "callbacks", callbacks)
    if isinstance(inner, (list, tuple)):
        return [one for part in inner for one in _flat(part)]
    return [] if inner is None else [inner]


def _on_fit(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Watch | None:
    if not args:
        return None
    model, around = args[0], _fit.get()
    if around is not None and around.active and not around.loop:
        around.saw_inner_fit(model)
        return None
    call = bound_call(_signatures[FIT], args, kwargs)
    chosen = _chosen(call.callbacks) if call is not None else None
    if call is None or chosen is None:
        return None
    _end_loop(around)
    watch = _Watch(Fit(model, chosen), around)
    watch.begin(call)
    return watch


class _Watch:
    """Watch of one outermost call of `fit`; restores the surrounding fit at its end, even if recording fails."""

    def __init__(self, fit: Fit, around: Fit | None) -> None:
        self._fit = fit
        self._around = around

    def begin(self, call: Call) -> None:
        _fit.set(self._fit)
        with guarded("recording the start of a fit"):
            self._fit.begin(call)

    def returned(self, result: Any) -> None:
        try:
            self._fit.finished()
        finally:
            _fit.set(self._around)

    def raised(self, error: BaseException) -> None:
        try:
            self._fit.failed(error)
        finally:
            _fit.set(self._around)


def _on_train_begin(wrapped: Any, heard: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    fit, model = _fit.get(), getattr(heard, "_model", None)
    if fit is not None and fit.active and not fit.loop:
        if fit.is_of(model):
            fit.join(heard)
        return
    chosen = _chosen(heard)
    if chosen is not None and model is not None:
        _end_loop(fit)
        loop = Fit(model, chosen, loop=True)
        _fit.set(loop)
        loop.begin(None)
        loop.join(heard)


def _on_train_end(wrapped: Any, heard: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _LoopEnd | None:
    fit = _fit.get()
    return _LoopEnd(fit) if fit is not None and fit.active and fit.loop and fit.listens_to(heard) else None


def _end_loop(fit: Fit | None) -> None:
    """End the training of a loop that never called `on_train_end`, because another training begins."""
    if fit is not None and fit.active and fit.loop:
        with guarded("the end of a loop"):
            fit.abandoned()


class _LoopEnd:
    """Watch of `on_train_end` in a loop that calls a list of callbacks itself: ends its training."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    def returned(self, result: Any) -> None:
        self._fit.finished()
        _fit.set(None)

    def raised(self, error: BaseException) -> None:
        self._fit.failed(error)
        _fit.set(None)


def _on_epoch_end(wrapped: Any, heard: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    fit = _fit.get()
    if fit is not None and fit.active and fit.listens_to(heard):
        fit.before_epoch_end(args[1] if len(args) > 1 else kwargs.get("logs"))


def _on_evaluate(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> EvaluateCall | None:
    if not args or "_use_cached_eval_dataset" in kwargs or _evaluation.get() is not None:
        return None  # the validation inside `fit`, or an evaluation inside another
    fit = _fit.get()
    if not recording_allowed():
        return None
    evaluation = EvaluateCall.of(args[0], fit if fit is not None and fit.active else None, _evaluation)
    if evaluation is not None:
        evaluation.begin(bound_call(_signatures[EVALUATE], args, kwargs))
    return evaluation


def _on_test_end(wrapped: Any, heard: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    evaluation = _evaluation.get()
    if evaluation is not None:
        evaluation.heard(getattr(heard, "_model", None), args[0] if args else kwargs.get("logs"))


def _on_train_on_batch(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BatchLoop | None:
    fit = _fit.get()
    if not _integrations or not args or (fit is not None and fit.active) or not recording_allowed():
        return None
    return loop_of(args[0], _autolog_options())


def _on_model_saved(wrapped: Any, callback: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ModelSaved | None:
    fit = _fit.get()
    if fit is None or fit.checkpoints is None or fit.epochs is None:
        return None
    given = {**dict(zip(("epoch", "batch", "logs"), args, strict=False)), **kwargs}
    return ModelSaved(fit.checkpoints, fit.epochs, callback, given)


def _on_backup_saved(
    wrapped: Any, callback: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> BackupSaved | None:
    fit = _fit.get()
    if fit is None or fit.training is None or fit.checkpoints is None or fit.epochs is None:
        return None
    return BackupSaved(fit.training, fit.checkpoints, fit.epochs, callback)


def _on_backup_loaded(
    wrapped: Any, callback: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> BackupLoaded | None:
    fit = _fit.get()
    return BackupLoaded(callback, fit.goes_on) if fit is not None and fit.active else None
