"""Description of a torch module: class, layers, totals. The module is not called and no parameter is materialised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autotrack.training.neural.optimizers import number_of_values

if TYPE_CHECKING:
    from autotrack.recording.recorder import Recorder

MOST_LAYERS = 300
MOST_SHAPES = 8
_WRAPPERS = {
    "OptimizedModule": "_orig_mod",  # torch.compile
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
    "DeepSpeedEngine": "module",
}


@dataclass
class ModuleFacts:
    """Facts of a module: `totals` are params under `model.*`, `layers` the columns of a table with a row per layer.

    `left_out` is the number of layers that are missing in the table.
    """

    totals: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, list[Any]] = field(default_factory=dict)
    left_out: int = 0


def record(training: Recorder, module: Any) -> ModuleFacts:
    """Record a module's totals as `model.*` and its layers as the evaluation `model/layers`."""
    facts = describe_module(module)
    training.log_params({"model": facts.totals})
    training.log_evaluation("model/layers", facts.layers)
    if facts.left_out:
        training.report("capture", f"model/layers: {facts.left_out:,} layers are left out", count=facts.left_out)
    return facts


def describe_module(module: Any, *, most_layers: int = MOST_LAYERS) -> ModuleFacts:
    """Class, totals and layer table of a torch module.

    Totals: `class` and `module`, `parameters`, `trainable_parameters` and `bytes` (parameters and buffers), shared
    parameters counted once; `buffers` (values), `dtype` and `device` of the parameters, `wrapped_in` (`torch.compile`,
    DDP, FSDP), `not_yet_made` (lazy parameters). Columns of the table: `name`, `type`, `depth`, `shapes` of the layer's
    own parameters, `parameters` and `trainable`. For a model of more layers than `most_layers` the table ends at a
    smaller depth, whose rows include the parameters of all layers below.
    """
    inner, wrappers = unwrapped(module)
    facts = ModuleFacts(_totals(inner))
    if wrappers:
        facts.totals["wrapped_in"] = wrappers
    modules = list(inner.named_modules())
    deepest = _depth_that_fits([_depth(name) for name, _ in modules], most_layers)
    counted: set[int] = set()
    rows: list[tuple[Any, ...]] = []
    for name, part in modules:
        depth = _depth(name)
        if depth > deepest:
            continue
        whole = depth == deepest
        own = dict(part.named_parameters(recurse=whole))
        if not own and any(True for _ in part.children()) and not whole:
            continue  # a container without parameters of its own; its layers follow
        fresh = [parameter for parameter in own.values() if id(parameter) not in counted]
        counted.update(map(id, fresh))
        trainable = sum(number_of_values(parameter) for parameter in fresh if parameter.requires_grad)
        shapes = _shapes(dict(part.named_parameters(recurse=False)))
        rows.append((name, type(part).__name__, depth, shapes, sum(map(number_of_values, fresh)), trainable))
    facts.left_out = max(0, len(rows) - most_layers)
    columns = list(zip(*rows[:most_layers], strict=True)) or [()] * 6
    names = ("name", "type", "depth", "shapes", "parameters", "trainable")
    facts.layers = {name: list(column) for name, column in zip(names, columns, strict=True)}
    return facts


def _totals(module: Any) -> dict[str, Any]:
    parameters = list(module.parameters())  # shared parameters once
    buffers = list(module.buffers())
    totals: dict[str, Any] = {
        "class": type(module).__qualname__,
        "module": type(module).__module__,
        "parameters": sum(map(number_of_values, parameters)),
        "trainable_parameters": sum(number_of_values(one) for one in parameters if one.requires_grad),
        "bytes": sum(map(_bytes_of, parameters)) + sum(map(_bytes_of, buffers)),
        "buffers": sum(map(number_of_values, buffers)),
    }
    made = [one for one in parameters if not _is_lazy(one)]
    for key, found in (("dtype", {str(one.dtype) for one in made}), ("device", {str(one.device) for one in made})):
        if found:
            totals[key] = found.pop() if len(found) == 1 else sorted(found)
    if len(made) < len(parameters):
        totals["not_yet_made"] = len(parameters) - len(made)
    return totals


def unwrapped(module: Any) -> tuple[Any, list[str]]:
    """The module inside wrappers (`torch.compile`, DDP, FSDP, DeepSpeed), and the class names of the wrappers."""
    wrappers: list[str] = []
    for _ in range(len(_WRAPPERS)):
        kind = type(module).__name__
        inner = getattr(module, _WRAPPERS.get(kind, ""), None) if kind in _WRAPPERS else None
        if inner is None:
            break
        wrappers.append(kind)
        module = inner
    return module, wrappers


def _depth(name: str) -> int:
    return name.count(".") + 1 if name else 0


def _depth_that_fits(depths: list[int], most: int) -> int:
    """The largest depth up to which there are at most `most` modules; at least 1, unless there are no submodules."""
    deepest = max(depths, default=0)
    while deepest > 1 and sum(depth <= deepest for depth in depths) > most:
        deepest -= 1
    return deepest


def _shapes(parameters: dict[str, Any]) -> str:
    return ", ".join(_each_shape(parameters))


def _each_shape(parameters: dict[str, Any]) -> Iterator[str]:
    for number, (name, parameter) in enumerate(parameters.items()):
        if number == MOST_SHAPES:
            yield f"… {len(parameters) - MOST_SHAPES} more"
            return
        shape = "not yet made" if _is_lazy(parameter) else "×".join(map(str, tuple(parameter.shape))) or "1"
        yield f"{name} {shape}"


def _is_lazy(tensor: Any) -> bool:
    return type(tensor).__name__.startswith("Uninitialized")


def _bytes_of(tensor: Any) -> int:
    return 0 if _is_lazy(tensor) else number_of_values(tensor) * int(tensor.element_size())
