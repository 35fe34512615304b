"""torch modules: the state dict as safetensors, and a plan for building the module that it fits.

A module's class is kept as a reference, its constructor's arguments as plain data: those that the user passes, or those
of a module that needs none or is made of torch's own layers. Where they are unknown, the state dict alone is kept,
and is loaded into a module that the program builds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.models import python
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.flavors import Flavor, Format
from autotrack.models.python import class_name, instance_of, is_a
from autotrack.models.references import call_of, from_plain, parameters_of, reference_to, resolve, why_unreachable
from autotrack.models.torch_layers import build, recipe_of

FILE = "model.safetensors"

Plan = tuple[dict[str, Any] | None, str]  # how the module is built; or None and, in a few words, why that is not known


def write(asked: Asked) -> Written:
    """Write the module's state dict and how to build it; `InvalidValueError` for a state that is not only tensors.

    With `allow_pickle`, a module that cannot be rebuilt from these is pickled whole.
    """
    return write_by(asked, plan_of)


def write_by(asked: Asked, planned: Callable[[Any, Mapping[str, Any] | None], Plan]) -> Written:
    """Write a module like `write`, with the plan that `planned(module, init)` returns."""
    module = unwrapped(asked.model)
    plan, why_not = planned(module, asked.init)
    state = module.state_dict()
    odd = _not_plain_tensors(state)
    if asked.allow_pickle and (odd or plan is None or why_unreachable(type(module))):
        return python.write(dataclasses.replace(asked, model=module))
    if odd:
        raise InvalidValueError(
            f"the state of a {class_name(module)} is not only tensors: {', '.join(odd[:5])}; "
            "allow_pickle=True keeps the whole module as a pickle"
        )
    tensors, shared = _distinct(state)
    path = asked.folder / FILE
    _save(tensors, path)
    others = [name for name, part in module.named_modules() if part.training != module.training]
    details = {
        "plan": plan, "no_plan": why_not, "shared": shared, "training": module.training, "in_other_mode": others,
    }  # fmt: skip
    return Written({FILE: path}, FILE, "safetensors", runs_code=False, details=details)


def plan_of(module: Any, init: Mapping[str, Any] | None) -> Plan:
    """The plan for building a module of this class, from `init` if the user passed it."""
    kind = type(module)
    if init is not None:
        return {"class": reference_to(kind), **call_of(init, kind)}, ""
    recipe = recipe_of(module)
    if recipe is not None:
        return {"layers": recipe}, ""
    if kind.__module__.startswith("torch.nn.") or parameters_of(kind):
        return None, f"the arguments of its class {kind.__qualname__} are not known"
    return {"class": reference_to(kind), "args": [], "kwargs": {}}, ""


def unwrapped(module: Any) -> Any:
    """The user's own module, without the wrappers of `torch.compile` and data parallelism."""
    import torch

    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        if isinstance(module, parallel):
            module = module.module
        elif hasattr(module, "_orig_mod"):
            module = module._orig_mod
        else:
            return module


def read(saved: Saved) -> Any:
    """Build the module and load its state; a module or dict in `saved.into` receives the state instead."""
    state = _load(saved)
    if isinstance(saved.into, dict):
        saved.into.update((name, tensor.clone()) for name, tensor in state.items())
        return saved.into
    module = saved.into
    if module is None:
        module = _built(saved)
        _cast(module, state)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise InvalidValueError(f"{saved.shown} does not fit a {class_name(module)}: {error}") from error
    if saved.into is None:
        _set_modes(module, saved.details)
    return module


def _built(saved: Saved) -> Any:
    import torch

    plan = saved.details.get("plan")
    if plan is None:
        raise InvalidValueError(
            f"{saved.shown} is the state of a {saved.meta['class']}, and {saved.details.get('no_plan')}: build the "
            "module and pass it as into=module (into={} gives the bare state dict); "
            "log_model(…, init={'kwargs': …}) keeps the arguments the next time"
        )
    if "layers" in plan:
        return build(plan["layers"])
    kind = resolve(plan["class"], torch.nn.Module, saved.shown, "build the module and pass it as into=module")
    return kind(*from_plain(plan["args"]), **from_plain(plan["kwargs"]))


def _cast(module: Any, state: Mapping[str, Any]) -> None:
    """Cast the tensors of a built module to the saved dtypes; tied tensors stay tied."""
    for name, tensor in module.state_dict(keep_vars=True).items():
        if name in state and tensor.dtype != state[name].dtype:
            tensor.data = tensor.data.to(state[name].dtype)


def _set_modes(module: Any, details: Mapping[str, Any]) -> None:
    training, others = details["training"], set(details["in_other_mode"])
    for name, part in module.named_modules():
        part.training = training != (name in others)


def _not_plain_tensors(state: Mapping[str, Any]) -> list[str]:
    import torch

    def oddity(value: Any) -> str:
        if not isinstance(value, torch.Tensor):
            return f"a {type(value).__name__}"
        if torch.nn.parameter.is_lazy(value):
            return "not initialised yet"
        if value.is_meta:
            return "on the meta device, without values"
        if value.layout is not torch.strided:
            return f"{value.layout}"
        return "quantized" if value.is_quantized else ""

    return [f"{name} ({why})" for name, value in state.items() if (why := oddity(value))]


def _distinct(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Each tensor once, in main memory, and a map from the names of shared tensors to those kept."""
    first: dict[Any, str] = {}
    tensors, shared = {}, {}
    for name, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and place in first:
            shared[name] = first[place]
            continue
        first[place] = name
        tensors[name] = _alone(tensor.detach())
    return tensors, shared


def _alone(tensor: Any) -> Any:
    """The tensor contiguous and on the CPU, in a storage that holds nothing else."""
    found = tensor.cpu().contiguous()
    whole = found.untyped_storage().nbytes() == found.numel() * found.element_size()
    return found if whole else found.clone()


def _save(tensors: dict[str, Any], path: Any) -> None:
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingDependencyError("safetensors", "torch", "keeping a torch module without pickle") from error
    save_file(tensors, path)


def _load(saved: Saved) -> dict[str, Any]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingDependencyError("safetensors", "torch", "loading a torch module") from error
    with saved.opened() as path:
        tensors: dict[str, Any] = load_file(path)
    return {**tensors, **{name: tensors[same] for name, same in saved.details.get("shared", {}).items()}}


def _without_wrappers(model: Any) -> Any:
    """A torch module without its wrappers; anything else, Keras models included, unchanged."""
    is_module = is_a(model, "torch.nn", "Module") and not is_a(model, "keras", "Model")
    return unwrapped(model) if is_module else model


FLAVOR = Flavor(
    write=write,
    recognises=instance_of(("torch.nn", "Module")),
    formats={"safetensors": Format(read, needs=("safetensors",))},
    unwrapped=_without_wrappers,
    needs=("torch",),
    shown=("torch",),
)
