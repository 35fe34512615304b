"""Norms and histograms of a torch module's gradients and weights, computed on their device.

Each record takes one pass over the tensors, with torch's fused norms, and the results stay on the device: the training
does not wait for a GPU, and neither its graph nor its random numbers are touched. Of a tensor that is sharded over
several ranks only this rank's shard is used: no rank waits for another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from autotrack.events import Media
from autotrack.journal import blobs
from autotrack.training.neural.modules import unwrapped

if TYPE_CHECKING:
    from autotrack.recording.metrics import MetricRecorder
    from autotrack.recording.recorder import Recorder

EVERY = 100
MOST_NORMS = 50
MOST_HISTOGRAMS = 20
BINS = 32
SAMPLE = 1 << 14


def steps_between(watch: bool | int) -> int:
    """The number of steps from one record to the next: `EVERY` for `watch=True`; 0 means never."""
    return EVERY if watch is True else max(0, int(watch))


class Watcher:
    """Records norms and histograms of the gradients and weights of `module` at every `every`-th step.

    Call `look` once per step, after the backward pass and before the gradients are cleared. The metrics are
    `gradients/norm` and `weights/norm` over all parameters, `gradients/norm/<parameter>` and `weights/norm/<parameter>`
    of the `MOST_NORMS` largest, and `gradients/nonfinite`: the number of parameters whose gradient norm is not finite.
    The histograms are media `gradients` and `weights`: JSON `{"<parameter>": {"min", "max", "counts", "nonfinite",
    "sampled"}}` of the `MOST_HISTOGRAMS` largest, of at most `SAMPLE` evenly spaced values each.
    """

    def __init__(
        self, training: MetricRecorder, module: Any, every: bool | int = True, *, histograms: bool = True
    ) -> None:
        self.every = steps_between(every)
        self._training = training
        self._module, _ = unwrapped(module)
        self._histograms = histograms
        self._told: set[str] = set()

    def look(self, step: int) -> None:
        """Call `record` if `step` is a multiple of `every`."""
        if self.every and step % self.every == 0:
            self.record(step)

    def record(self, step: int) -> None:
        """Record norms and histograms at `step`; does nothing while a CUDA graph is captured."""
        torch: Any = sys.modules["torch"]
        if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
            return
        with torch.no_grad():
            weights = list(_largest_first(self._module))
            gradients = [(name, weight.grad) for name, weight in weights if weight.grad is not None]
            row = _norms("gradients", gradients) | _norms("weights", weights)
            if self._histograms:
                for key, tensors in (("gradients", gradients), ("weights", weights)):
                    self._record_histograms(key, tensors, step)
        if row:
            self._training.log(row, step)
        if len(weights) > MOST_NORMS:
            self._tell(
                f"watching: norms of the {MOST_NORMS} largest of {len(weights):,} parameters, and of all together"
            )
        if any(type(weight).__name__ == "DTensor" for _, weight in weights):
            self._tell("watching: norms are those of the shards on rank 0")

    def _record_histograms(self, key: str, tensors: Sequence[tuple[str, Any]], step: int) -> None:
        chosen = [
            (name, values) for name, tensor in tensors[:MOST_HISTOGRAMS] if (values := _sample(tensor)) is not None
        ]
        if not chosen:
            return
        found = [(name, len(values), _histogram(values)) for name, values in chosen]
        if any(counts.is_cuda for _, _, counts in found):
            torch: Any = sys.modules["torch"]
            hosts = [
                (
                    name,
                    size,
                    torch.empty(counts.shape, dtype=counts.dtype, pin_memory=True).copy_(counts, non_blocking=True),
                )
                for name, size, counts in found
            ]
            event = torch.cuda.current_stream().record_event()
            self._write_later(key, hosts, step, event)
        else:
            self._write_later(key, found, step, None)

    def _write_later(self, key: str, found: Sequence[tuple[str, int, Any]], step: int, event: Any) -> None:
        task = partial(_write, self._training, key, found, step, event)
        self._training.collector.background.submit("histograms", task)

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._training.report("capture", message, level="info")


def _largest_first(module: Any) -> Iterator[tuple[str, Any]]:
    """The trainable parameters with values on this rank (not lazy, meta or integer), the largest first."""
    named = [(name, one) for name, one in module.named_parameters() if one.requires_grad and _has_values(one)]
    yield from sorted(named, key=lambda item: -item[1].numel())


def _has_values(tensor: Any) -> bool:
    lazy = type(tensor).__name__.startswith("Uninitialized")
    return (
        not lazy and not tensor.is_meta and (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() > 0
    )


def _here(tensor: Any) -> Any:
    """The values of a tensor on this rank, as a plain dense tensor of real numbers."""
    tensor = tensor.detach()
    if type(tensor).__name__ == "DTensor":
        tensor = tensor._local_tensor
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    return sys.modules["torch"].view_as_real(tensor) if tensor.is_complex() else tensor


def _norms(key: str, tensors: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The norm over all tensors and the norms of the first `MOST_NORMS`, by metric key, as 0-d tensors on a device."""
    torch: Any = sys.modules["torch"]
    if not tensors:
        return {}
    norms = _each_norm(torch, [_here(tensor) for _, tensor in tensors])
    device = norms[0].device
    dtype = torch.float64 if any(norm.dtype == torch.float64 for norm in norms) else torch.float32
    stacked = torch.stack([norm.to(device, dtype, non_blocking=True) for norm in norms])
    row = {f"{key}/norm": torch.linalg.vector_norm(stacked)}
    if key == "gradients":
        row[f"{key}/nonfinite"] = (~torch.isfinite(stacked)).sum()
    for (name, _), norm in zip(tensors[:MOST_NORMS], stacked, strict=False):
        row[f"{key}/norm/{name}"] = norm
    return row


def _each_norm(torch: Any, tensors: Sequence[Any]) -> list[Any]:
    """The norm of each tensor; those of half precision in float32, as squares may overflow otherwise."""
    norms: dict[int, Any] = {}
    halves = [number for number, one in enumerate(tensors) if one.element_size() < 4]
    others = [number for number, one in enumerate(tensors) if one.element_size() >= 4]
    for numbers, options in ((halves, {"dtype": torch.float32}), (others, {})):
        chosen = [tensors[number] for number in numbers]
        try:
            found = torch._foreach_norm(chosen, 2, **options) if chosen else ()
        except (TypeError, RuntimeError, AttributeError, NotImplementedError):  # an older torch, or mixed tensor types
            found = [torch.linalg.vector_norm(one, **options) for one in chosen]
        norms.update(zip(numbers, found, strict=True))
    return [norms[number] for number in range(len(tensors))]


def _sample(tensor: Any) -> Any:
    here = _here(tensor)
    if not here.numel():
        return None
    stride = -(-here.numel() // SAMPLE)
    return here.reshape(-1)[::stride].float()


def _histogram(values: Any) -> Any:
    """One tensor: minimum and maximum of the finite values, counts of `BINS` bins, and the number of nonfinite ones."""
    torch: Any = sys.modules["torch"]
    finite = torch.isfinite(values)
    least = torch.where(finite, values, torch.inf).min()
    most = torch.where(finite, values, -torch.inf).max()
    width = (most - least).clamp(min=torch.finfo(values.dtype).tiny)
    place = ((values - least) / width * BINS).clamp(0, BINS - 1)
    place = torch.where(finite, place, BINS).to(torch.int64)
    if values.device.type == "cpu":
        counts = torch.bincount(place, minlength=BINS + 1)
    else:  # `bincount` would wait for the device
        counts = (place == torch.arange(BINS + 1, device=values.device).unsqueeze(1)).sum(1)
    return torch.cat([torch.stack([least, most]), counts.float()])  # counts up to `SAMPLE` are exact


def _write(training: Recorder, key: str, found: Sequence[tuple[str, int, Any]], step: int, event: Any) -> None:
    """On the background thread: wait for the copies from the GPU, then record the histograms."""
    import time

    if event is not None:
        event.synchronize()
    listed = {name: (size, values.tolist()) for name, size, values in found}
    histograms = {
        name: {
            "min": values[0], "max": values[1], "counts": [int(count) for count in values[2:-1]],
            "nonfinite": int(values[-1]), "sampled": size,
        }
        for name, (size, values) in listed.items()
    }  # fmt: skip
    data = json.dumps(histograms).encode()
    digest = blobs.put_bytes(training.collector.place.blobs, data)
    training.emit(
        Media(
            run=training.id, time=time.time(), training=training.number, key=key, kind="histogram", digest=digest,
            size=len(data), step=step, media_type="application/json",
        )
    )  # fmt: skip
