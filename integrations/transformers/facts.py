"""Facts of a training as plain values, read from the objects that transformers holds; nothing is run or consumed."""

from __future__ import annotations

import dataclasses
import enum
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from autotrack.recording.lifecycle.trainings import Training
from autotrack.training.neural import loaders, modules, optimizers

PREFIX = "checkpoint"  # transformers' PREFIX_CHECKPOINT_DIR
_DERIVED = {"_n_gpu", "distributed_state", "deepspeed_plugin", "hf_deepspeed_config"}
# Arguments that transformers fills in if the user does not set them: whether a value is the one filled in.
_FILLED_IN: dict[str, Callable[[Any, Any], bool]] = {
    "run_name": lambda args, value: value == args.output_dir,
    "report_to": lambda args, value: value in ([], ["none"], ["all"]),
    "logging_dir": lambda args, value: True,
    "eval_strategy": lambda args, value: str(getattr(value, "value", value)) == "no",
    "dataloader_prefetch_factor": lambda args, value: value is None,
    "dataloader_pin_memory": lambda args, value: value is False and args.use_cpu,
    "accelerator_config": lambda args, value: _is_like_new(value),
}


def _is_like_new(value: Any) -> bool:
    """Whether a configuration object has the settings of one that is made without any."""
    new = type(value)()
    return hasattr(value, "to_dict") and value.to_dict().items() <= new.to_dict().items()


def short(value: Any) -> Any:
    """The value of an enum member; any other object as it is."""
    return value.value if isinstance(value, enum.Enum) else value


def record_arguments(training: Training, trainer: Any, state: Any, objects: Mapping[str, Any]) -> None:
    """Record the `TrainingArguments`, set ones apart from defaults; tokens are masked by name."""
    args = trainer.args
    plain = args.to_dict()  # tokens are masked in it
    chosen: dict[str, Any] = {}
    filled: dict[str, Any] = {}
    for field in dataclasses.fields(args):
        name = field.name
        if name in _DERIVED or name not in plain:
            continue
        value = (
            plain[name] if getattr(args, name, None) is not None else None
        )  # `to_dict` masks tokens that are not there
        into = filled if _is_default(args, field, getattr(args, name, None)) else chosen
        into[name] = value
    training.log_params(chosen)
    training.log_params(filled, origin="default")


def _is_default(args: Any, field: Any, value: Any) -> bool:
    default = field.default if field.default is not dataclasses.MISSING else None
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if short(value) == short(default) or (value in ([], {}, None) and default in ([], {}, None, "")):
        return True
    if value is False and default is None:  # what is not asked for is resolved to off
        return True
    filled_in = _FILLED_IN.get(field.name)
    return filled_in is not None and filled_in(args, value)


def record_resolved(training: Training, trainer: Any, state: Any, objects: Mapping[str, Any]) -> None:
    """Record batch sizes, planned steps and epochs, devices, precision, callbacks."""
    args = trainer.args
    size = getattr(state, "train_batch_size", None) or args.train_batch_size  # `auto_find_batch_size` lowers the first
    resolved = {
        "batch_size": size,
        "effective_batch_size": size * args.gradient_accumulation_steps * max(args.world_size, 1),
        "planned_steps": state.max_steps,
        "planned_epochs": state.num_train_epochs if state.num_train_epochs < sys.maxsize else None,
        "trainer.class": type(trainer).__qualname__,
        "trainer.device": str(args.device),
        "trainer.world_size": args.world_size,
        "trainer.parallel_mode": short(args.parallel_mode),
        "trainer.precision": "bf16" if args.bf16 else "fp16" if args.fp16 else "fp32",
    }
    training.log_params({key: value for key, value in resolved.items() if value is not None}, origin="default")
    ours = [type(one).__name__ for one in trainer.callback_handler.callbacks if not hasattr(one, "autotrack_carrier")]
    training.log_params({"trainer.callbacks": ours}, origin="default")


def record_model(training: Training, trainer: Any, state: Any, objects: Mapping[str, Any]) -> None:
    """Record the layers, the share of trained parameters, the configurations of model, adapters and generation."""
    model = trainer.model
    found = modules.record(training, model)
    total = found.totals.get("parameters", 0)
    if total:
        training.log_params({"model.trainable_share": found.totals["trainable_parameters"] / total})
    config: Any = getattr(model, "config", None)
    if hasattr(config, "to_dict"):
        training.log_params({"config": config.to_dict()}, origin="config")
    for name, adapter in (getattr(model, "peft_config", None) or {}).items():
        if hasattr(adapter, "to_dict"):
            training.log_params({f"config.peft.{name}": adapter.to_dict()}, origin="config")
    generation: Any = getattr(model, "generation_config", None)
    if hasattr(generation, "to_diff_dict"):
        training.log_params({"config.generation": generation.to_diff_dict()}, origin="config")


def record_tokenizer(training: Training, trainer: Any, state: Any, objects: Mapping[str, Any]) -> None:
    """Record the class, name, settings and vocabulary size of the tokenizer or processor."""
    tokenizer = objects.get("processing_class") or objects.get("tokenizer")
    if tokenizer is None:
        return
    facts: dict[str, Any] = {"class": type(tokenizer).__qualname__}
    for name in ("vocab_size", "model_max_length", "name_or_path", "padding_side", "is_fast"):
        with suppress(AttributeError, NotImplementedError):
            facts[name] = getattr(tokenizer, name)
    training.log_params({"tokenizer": facts}, origin="default")


def record_optimizer(training: Training, trainer: Any, state: Any, objects: Mapping[str, Any]) -> None:
    """Record the optimizer and its schedule with their current settings."""
    if objects.get("optimizer") is not None:
        optimizers.record_optimizers(training, objects["optimizer"])
    if objects.get("lr_scheduler") is not None:
        optimizers.record_schedulers(training, objects["lr_scheduler"])


def record_data(training: Training, trainer: Any, state: Any, objects: Mapping[str, Any]) -> None:
    """Record the data sets by role, without consuming them, and the data collator."""
    for role, data in (("train", trainer.train_dataset), ("val", trainer.eval_dataset)):
        if data is not None and not isinstance(data, str):
            loaders.record(training, data, role)  # type: ignore[arg-type]
    if trainer.data_collator is not None:
        collator = type(trainer.data_collator)
        name = getattr(trainer.data_collator, "__qualname__", collator.__qualname__)
        training.log_params({"data_collator": name}, origin="default")


def checkpoint(trainer: Any, state: Any) -> tuple[str, dict[str, Any]]:
    """The folder of the checkpoint at this step, with its step, epoch, score, monitor, and whether it is the best."""
    folder = _folder(trainer.args.output_dir, f"{PREFIX}-{state.global_step}")
    args = trainer.args
    about: dict[str, Any] = {"step": state.global_step, "epoch": state.epoch}
    monitor = args.metric_for_best_model
    if monitor is not None:
        name = monitor if monitor.startswith("eval_") else f"eval_{monitor}"
        score = next((row[name] for row in reversed(state.log_history) if name in row), None)
        best = getattr(state, "best_model_checkpoint", None)
        about.update(monitor=monitor, score=score, mode="max" if args.greater_is_better else "min")
        about["best"] = best is not None and os.path.abspath(best) == os.path.abspath(folder)
    return folder, about


def resumed_from(trainer: Any, asked: Any, state: Any) -> str:
    """The checkpoint folder that a training resumed from: the path `asked`, or else its own at the current step."""
    if isinstance(asked, (str, os.PathLike)):
        return os.fspath(asked)
    return _folder(trainer.args.output_dir, f"{PREFIX}-{state.global_step}")


def _folder(output: str, name: str) -> str:
    """The folder `name` directly in `output`; in a search, the latest one in a trial's folder."""
    direct = os.path.join(output, name)
    if os.path.isdir(direct):
        return direct
    below = [os.path.join(entry.path, name) for entry in os.scandir(output) if entry.is_dir()]
    return max((path for path in below if os.path.isdir(path)), key=os.path.getmtime, default=direct)


def record_end(training: Training, trainer: Any) -> None:
    """Record the last step and epoch, the callback that stopped the training, the best checkpoint, the restored one."""
    state, args = trainer.state, trainer.args
    end: dict[str, Any] = {"step": state.global_step, "epoch": state.epoch}
    for one in trainer.callback_handler.callbacks:
        patience = getattr(one, "early_stopping_patience", None)
        if patience and getattr(one, "early_stopping_patience_counter", 0) >= patience:
            end["stopped_by"] = type(one).__name__
    if state.best_metric is not None:
        end["best_metric"] = state.best_metric
        end["best_checkpoint"] = state.best_model_checkpoint
    if args.load_best_model_at_end and state.best_model_checkpoint and state.global_step:
        end["restored_from"] = os.path.basename(state.best_model_checkpoint)
    training.log_params({"end": end}, origin="default")


GATHERERS: tuple[tuple[str, Callable[[Training, Any, Any, Mapping[str, Any]], None]], ...] = (
    ("the training arguments", record_arguments),
    ("the trainer's resolution", record_resolved),
    ("the model", record_model),
    ("the tokenizer", record_tokenizer),
    ("the optimizer", record_optimizer),
    ("the data", record_data),
)
