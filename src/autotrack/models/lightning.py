"""Lightning modules: as torch modules, built again with the hyperparameters that `save_hyperparameters` kept."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from autotrack.exceptions import InvalidValueError
from autotrack.models import torch
from autotrack.models.files import Asked, Written
from autotrack.models.flavors import Flavor
from autotrack.models.python import instance_of
from autotrack.models.references import as_plain, parameters_of, reference_to


def write(asked: Asked) -> Written:
    """Write the module's state dict and its hyperparameters; raises `InvalidValueError` as `torch.write` does."""
    return torch.write_by(asked, _plan_of)


def _plan_of(module: Any, init: Mapping[str, Any] | None) -> torch.Plan:
    kind = type(module)
    parameters = parameters_of(kind)
    if init is not None or not parameters:
        return torch.plan_of(module, init)
    kept = getattr(module, "_hparams", None) or {}
    as_one = getattr(module, "_hparams_name", None)
    if as_one not in (None, "kwargs"):
        kept = {as_one: dict(kept)}  # save_hyperparameters(config): the class takes them as one argument
    named = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    missing = [name for name in named if name not in kept]
    if missing:
        return None, f"save_hyperparameters() did not keep {', '.join(missing)} of its class {kind.__qualname__}"
    kwargs = dict(kept) if takes_any else {name: kept[name] for name in named}
    try:
        plain = as_plain(kwargs, f"its hyperparameters of {kind.__qualname__}")
    except InvalidValueError as error:
        return None, str(error)
    return {"class": reference_to(kind), "args": [], "kwargs": plain}, ""


FLAVOR = Flavor(
    write=write,
    recognises=instance_of(("lightning.pytorch", "LightningModule"), ("pytorch_lightning", "LightningModule")),
    before=("torch",),
    needs=("torch",),
    shown=("lightning", "pytorch-lightning"),
)
