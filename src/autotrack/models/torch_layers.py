"""Recipes for modules that are made of torch's own layers: `nn.Sequential` of linear, convolutional, recurrent, …

Layers of torch keep their constructor's arguments as attributes of the same names. A recipe made of these is kept only
if the module that it builds (without memory, on the meta device) has the same `repr` and state shapes as the original.
"""

from __future__ import annotations

import inspect
from typing import Any

from autotrack.exceptions import InvalidValueError
from autotrack.models.references import as_plain, from_plain, parameters_of

_RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
_OWN_SIGNATURE = {
    "LSTM": (*_RECURRENT, "proj_size"), "GRU": _RECURRENT, "RNN": (*_RECURRENT, "nonlinearity"),
}  # fmt: skip
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def recipe_of(module: Any) -> dict[str, Any] | None:
    """The recipe for a module of torch's own layers; None if it has other parts or could not be rebuilt exactly."""
    import torch

    try:
        recipe = _recipe(module, torch)
    except InvalidValueError:
        return None
    with torch.device("meta"):
        again = build(recipe)
    if repr(again) != repr(module) or _shapes(again) != _shapes(module):
        return None
    return recipe


def build(recipe: dict[str, Any]) -> Any:
    """Build the module of a recipe, freshly initialised."""
    import torch

    kind = getattr(torch.nn, recipe["layer"], None)
    if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise InvalidValueError(f"torch.nn has no layer {recipe['layer']!r}")
    module = kind(**from_plain(recipe["kwargs"]))
    for name, part in recipe["parts"]:
        module.add_module(name, build(part))
    return module


def _recipe(module: Any, torch: Any) -> dict[str, Any]:
    kind = type(module)
    is_torchs = getattr(torch.nn, kind.__name__, None) is kind
    if not is_torchs or "forward" in vars(module) or any(vars(module).get(hooks) for hooks in _HOOKS):
        raise InvalidValueError(f"a {kind.__qualname__} is none of torch's own layers, or was changed")
    if kind is torch.nn.Sequential:
        parts = [[name, _recipe(part, torch)] for name, part in module._modules.items()]
        return {"layer": kind.__name__, "kwargs": {}, "parts": parts}
    if module._modules:
        raise InvalidValueError(f"a {kind.__qualname__} has parts of its own")
    return {"layer": kind.__name__, "kwargs": _arguments(module, torch), "parts": []}


def _arguments(module: Any, torch: Any) -> dict[str, Any]:
    kind = type(module)
    names = _OWN_SIGNATURE.get(kind.__name__) or [
        parameter.name if parameter.kind is not inspect.Parameter.VAR_POSITIONAL else "*"
        for parameter in parameters_of(kind)
        if parameter.name not in ("device", "dtype", "_weight", "_freeze")
        and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    kwargs = {}
    for name in names:
        value = getattr(module, name, ...)
        if name == "bias" and (value is None or isinstance(value, torch.Tensor)):
            value = value is not None
        kwargs[name] = as_plain(value, f"{kind.__qualname__}.{name}")
    return kwargs


def _shapes(module: Any) -> dict[str, Any]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}
