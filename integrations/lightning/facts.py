"""Facts of a fit as plain values, read from the objects that Lightning holds; nothing is run or consumed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from autotrack.recording.lifecycle.trainings import Training
from autotrack.training.neural import loaders, modules, optimizers

# Attributes of a trainer that hold its settings, as requested or resolved; recorded under the same names.
_SETTINGS = (
    "max_epochs", "min_epochs", "max_steps", "min_steps", "accumulate_grad_batches", "gradient_clip_val",
    "gradient_clip_algorithm", "limit_train_batches", "limit_val_batches", "limit_test_batches", "overfit_batches",
    "val_check_interval", "check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps", "fast_dev_run",
    "reload_dataloaders_every_n_epochs", "barebones",
)  # fmt: skip
_RESOLVED_DEFAULTS = {
    "max_epochs": (None, -1, 1000), "limit_train_batches": (1.0,), "limit_val_batches": (1.0,),
    "limit_test_batches": (1.0,), "val_check_interval": (1.0,), "num_sanity_val_steps": (2,),
    "log_every_n_steps": (50,),
}  # fmt: skip


def arguments(
    wrapped: Callable[..., Any], trainer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of the call by name; empty if they do not fit the signature: then the call itself raises."""
    try:
        bound = inspect.signature(wrapped).bind(trainer, *args, **kwargs)
    except TypeError:
        return {}
    return dict(list(bound.arguments.items())[1:])


def brief_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values and paths as they are, other objects such as loaders by the names of their classes; no None."""
    plain = (str, int, float, bool, os.PathLike)
    return {
        name: value if isinstance(value, plain) else type(value).__qualname__
        for name, value in given.items()
        if value is not None
    }


def record_settings(training: Training, trainer: Any, module: Any) -> None:
    """Record the trainer's settings, those equal to a default with the origin "default"."""
    defaults = {name: item.default for name, item in inspect.signature(type(trainer).__init__).parameters.items()}
    chosen: dict[str, Any] = {}
    filled: dict[str, Any] = {}
    for name in _SETTINGS:
        if not hasattr(trainer, name):
            continue
        value = getattr(trainer, name)
        usual = (defaults.get(name), *_RESOLVED_DEFAULTS.get(name, ()))
        (filled if value in usual else chosen)[name] = value
    for name, into in (("trainer", chosen), ("trainer", filled)):
        if into:
            training.log_params({name: into}, origin="set" if into is chosen else "default")


def record_resolved(training: Training, trainer: Any, module: Any) -> None:
    """Record where and how the fit runs: strategy, devices, precision, the process's seed, callbacks."""
    resolved: dict[str, Any] = {
        "strategy": type(trainer.strategy).__name__,
        "accelerator": type(trainer.accelerator).__name__,
        "devices": trainer.num_devices,
        "nodes": trainer.num_nodes,
        "world_size": trainer.world_size,
        "precision": str(trainer.precision),
        "automatic_optimization": bool(getattr(module, "automatic_optimization", True)),
        "compiled": hasattr(module, "_compiler_ctx") and module._compiler_ctx is not None,
    }
    if "PL_GLOBAL_SEED" in os.environ:
        resolved["seed"] = int(os.environ["PL_GLOBAL_SEED"])
    training.log_params({"trainer": resolved}, origin="default")
    callbacks = [type(one).__name__ for one in trainer.callbacks if not hasattr(one, "autotrack_carrier")]
    training.log_params({"trainer.callbacks": callbacks}, origin="default")


def record_hparams(training: Training, trainer: Any, module: Any) -> None:
    """Record the hyperparameters that module and data module saved, under the names that the user gave them."""
    for owner in (trainer.datamodule, module):
        if owner is not None and getattr(owner, "_log_hyperparams", True) and getattr(owner, "hparams", None):
            training.log_params(dict(owner.hparams))


def record_model(training: Training, trainer: Any, module: Any) -> None:
    """Record the module's layers and their parameters."""
    modules.record(training, module)


def record_optimizers(training: Training, trainer: Any, module: Any) -> None:
    """Record every optimizer and every scheduler with their current settings."""
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    optimizers.record_optimizers(training, trainer.optimizers)
    optimizers.record_schedulers(training, schedulers)


def record_cli(training: Training, trainer: Any, module: Any) -> None:
    """Record the configuration that `LightningCLI` was run with."""
    for callback in trainer.callbacks:
        parser, config = getattr(callback, "parser", None), getattr(callback, "config", None)
        if type(callback).__name__ == "SaveConfigCallback" and parser is not None and config is not None:
            training.log_text(parser.dump(config, skip_none=False), getattr(callback, "config_filename", "config.yaml"))


def record_data(training: Training, trainer: Any) -> None:
    """Record the loaders by role, the batch size as set and as effective, and the planned steps."""
    found = trainer.train_dataloader
    loaders.record(training, found, "train")
    validating = trainer.val_dataloaders
    if validating is not None:
        loaders.record(training, validating, "val")
    size = batch_size(trainer)
    if size:
        effective = size * trainer.accumulate_grad_batches * max(trainer.world_size, 1)
        training.log_params({"batch_size": size, "effective_batch_size": effective}, origin="default")
    counts = {"batches_per_epoch": trainer.num_training_batches, "planned_steps": trainer.estimated_stepping_batches}
    known = {name: count for name, count in counts.items() if isinstance(count, int)}
    training.log_params({"trainer": known}, origin="default")


def batch_size(trainer: Any) -> int | None:
    """The batch size of the only training loader; None if it is not known."""
    size = getattr(trainer.train_dataloader, "batch_size", None)
    return size if isinstance(size, int) else None


def about_checkpoint(trainer: Any, path: str) -> dict[str, Any]:
    """Step and epoch of a checkpoint; from the callback that wrote it: score, monitor, whether it is best or last."""
    about: dict[str, Any] = {"step": trainer.global_step, "epoch": trainer.current_epoch}
    for callback in trainer.checkpoint_callbacks:
        scores = getattr(callback, "best_k_models", {})
        is_last = path == getattr(callback, "last_model_path", None)
        if path not in scores and not is_last and path != getattr(callback, "best_model_path", None):
            continue
        about["last"] = True if is_last else None
        if callback.monitor is not None:
            score = scores.get(path, callback.current_score)
            about.update(monitor=callback.monitor, mode=callback.mode)
            about["score"] = float(score) if score is not None else None
            about["best"] = path == callback.best_model_path
    return about


def record_end(training: Training, trainer: Any) -> None:
    """Record the last step and epoch of a fit, and the callback that stopped it early."""
    end: dict[str, Any] = {"step": trainer.global_step, "epoch": trainer.current_epoch}
    for callback in trainer.callbacks:
        if getattr(callback, "stopped_epoch", 0):
            end["stopped_by"] = type(callback).__name__
            end["stopped_epoch"] = callback.stopped_epoch
            end["monitor"] = getattr(callback, "monitor", None)
            score = getattr(callback, "best_score", None)
            with suppress(TypeError, ValueError, RuntimeError):
                end["best_score"] = float(score)  # type: ignore[arg-type]
    training.log_params({"end": end}, origin="default")


GATHERERS: tuple[tuple[str, Callable[[Training, Any, Any], None]], ...] = (
    ("the hyperparameters", record_hparams),
    ("the trainer's settings", record_settings),
    ("the trainer's resolution", record_resolved),
    ("the model", record_model),
    ("the optimizers", record_optimizers),
    ("the command line's configuration", record_cli),
)
