"""Descriptions of torch data loaders and datasets, without reading items from them.

No iterator is created and no item is requested. A fingerprint is computed if the data is accessible in memory (a
`TensorDataset`, an array) or taken from the library if it has one (Hugging Face datasets).
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from autotrack.events import Dataset, Role
from autotrack.recording.fingerprint import describe
from autotrack.values import plain

if TYPE_CHECKING:
    from autotrack.recording.recorder import Recorder

MOST_PARTS = 16
MOST_NAMES = 100
_DEPTH = 6
MOST_INDICES = 10_000
_UNREADABLE = (TypeError, ValueError, RuntimeError, NotImplementedError, AttributeError)  # sparse, quantised, nested
_HELD_IN = ("data", "targets", "labels", "imgs", "samples")  # attributes of torchvision's and custom datasets


def record(training: Recorder, loader: Any, role: Role, name: str | None = None) -> None:
    """Record a data loader, a dataset or arrays as a dataset of the training, by default named after its role.

    Several loaders in a list or mapping become `<name>.0` or `<name>.<key>` each.
    """
    name = name or str(role)
    if isinstance(loader, Mapping):
        for key, inner in list(loader.items())[:MOST_PARTS]:
            record(training, inner, role, f"{name}.{key}")
    elif isinstance(loader, (list, tuple)) and loader and all(_is_loader(one) for one in loader[:MOST_PARTS]):
        for number, inner in enumerate(loader[:MOST_PARTS]):
            record(training, inner, role, name if len(loader) == 1 else f"{name}.{number}")
    elif loader is not None:
        digest, meta = describe_loader(loader)
        training.emit(
            Dataset(
                run=training.id, time=time.time(), training=training.number, name=name, role=role, digest=digest,
                meta=plain(meta),
            )
        )  # fmt: skip


def describe_loader(loader: Any) -> tuple[str, dict[str, Any]]:
    """The fingerprint (empty if none can be had without reading items) and the facts of a data loader or dataset.

    Facts of a loader: `batch_size`, `batches`, `shuffle`, `sampler`, `workers`, `drop_last`, `pin_memory`,
    `prefetch_factor`; of its dataset: `dataset` (the class), `rows`, and by kind `columns`, `shape`, `dtype`, `names`.
    """
    if not _is_loader(loader):
        return describe_dataset(loader)
    dataset = getattr(loader, "dataset", None)
    digest, about = describe_dataset(dataset) if dataset is not None else ("", {})
    facts: dict[str, Any] = {"loader": _class_of(loader), **about}
    batches = getattr(loader, "batch_sampler", None)
    sampler = getattr(loader, "sampler", None)
    for key, value in (
        ("batch_size", getattr(loader, "batch_size", None) or getattr(batches, "batch_size", None)),
        ("workers", getattr(loader, "num_workers", None)),
        ("drop_last", getattr(loader, "drop_last", None)),
        ("pin_memory", getattr(loader, "pin_memory", None)),
        ("prefetch_factor", getattr(loader, "prefetch_factor", None)),
    ):
        if isinstance(value, (bool, int)):
            facts[key] = value
    if sampler is not None:
        facts["sampler"] = _class_of(sampler)
        shuffle = _shuffles(sampler)
        if shuffle is not None:
            facts["shuffle"] = shuffle
    if not _is_iterable_only(dataset):  # after `len` of one, torch warns if it yields more batches
        length = _length(loader)
        if length is not None:
            facts["batches"] = length
    return digest, facts


def describe_dataset(dataset: Any) -> tuple[str, dict[str, Any]]:
    """The fingerprint (may be empty) and the facts of a dataset or of arrays."""
    return _dataset(dataset, 0)


def _dataset(dataset: Any, depth: int) -> tuple[str, dict[str, Any]]:
    facts: dict[str, Any] = {"dataset": _class_of(dataset)}
    if _is_hugging_face(dataset) and hasattr(dataset, "_fingerprint"):
        return _hugging_face(dataset, facts)
    if _is_array(dataset):
        return _array(dataset, facts)
    if _is_iterable_only(dataset):
        return "", {**facts, "kind": "iterable"}
    length = _length(dataset)
    if length is not None:
        facts["rows"] = length
    if depth >= _DEPTH:
        return "", facts
    held = getattr(dataset, "__dict__", {})  # not `getattr`: a property of the user's class may load the data
    if isinstance(held.get("tensors"), (list, tuple)):
        return _parts(dict(enumerate(held["tensors"][:MOST_PARTS])), facts)
    if "indices" in held and "dataset" in held:
        return _subset(held["dataset"], held["indices"], facts, depth)
    if isinstance(held.get("datasets"), (list, tuple)):
        inner = [_dataset(one, depth + 1) for one in held["datasets"][:MOST_PARTS]]
        facts["parts"] = [about for _, about in inner]
        return _together([digest for digest, _ in inner]), facts
    arrays = {name: held[name] for name in _HELD_IN if _is_array(held.get(name))}
    return _parts(arrays, facts) if arrays else ("", facts)


def _hugging_face(dataset: Any, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    rows = getattr(dataset, "num_rows", None)
    if isinstance(rows, int):
        facts["rows"] = rows
    names = dataset.column_names
    if isinstance(names, (list, tuple)):
        facts.update(columns=len(names), names=list(names[:MOST_NAMES]))
    features = getattr(dataset, "features", None)
    if isinstance(features, Mapping):
        dtypes = {name: str(getattr(kind, "dtype", kind)) for name, kind in list(features.items())[:MOST_NAMES]}
        facts["dtypes"] = dtypes
    split = getattr(dataset, "split", None)
    if split is not None:
        facts["split"] = str(split)
    fingerprint = str(dataset._fingerprint)
    facts["digest_of"] = "the library's own fingerprint"
    return hashlib.sha256(fingerprint.encode()).hexdigest(), {**facts, "fingerprint": fingerprint}


def _subset(dataset: Any, indices: Any, facts: dict[str, Any], depth: int) -> tuple[str, dict[str, Any]]:
    digest, facts["of"] = _dataset(dataset, depth + 1)
    if not digest:
        return "", facts
    if not isinstance(indices, (list, tuple, range)):
        return _together([digest, describe(indices)[0]]), facts
    sample = indices if len(indices) <= MOST_INDICES else indices[:: len(indices) // MOST_INDICES]
    return _together([digest, hashlib.sha256(f"{len(indices)} {list(sample)}".encode()).hexdigest()]), facts


def _parts(arrays: Mapping[Any, Any], facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    found = {name: _array(value, {}) for name, value in arrays.items()}
    facts["arrays"] = {str(name): about for name, (_, about) in found.items()}
    return _together([digest for digest, _ in found.values()]), facts


def _array(value: Any, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    digest, about = "", {"shape": [int(length) for length in value.shape], "dtype": str(value.dtype)}
    with suppress(*_UNREADABLE):
        digest, about = describe(value)
    if not digest and hasattr(value, "element_size"):
        with suppress(*_UNREADABLE):  # NumPy has no bfloat16, so its bytes are used
            digest, _ = describe(value.detach().view(sys.modules["torch"].uint8))
    return digest, {**about, **facts}


def _together(digests: list[str]) -> str:
    """One digest of several digests; empty if any of them is empty or there is none."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest() if digests and all(digests) else ""


def _is_loader(value: Any) -> bool:
    return hasattr(value, "batch_sampler") or (hasattr(value, "batch_size") and hasattr(value, "dataset"))


def _is_array(value: Any) -> bool:
    if hasattr(value, "iloc"):
        return True
    return hasattr(value, "dtype") and isinstance(getattr(value, "shape", None), tuple)


def _is_iterable_only(dataset: Any) -> bool:
    return not hasattr(type(dataset), "__getitem__") or any(
        kind.__name__ == "IterableDataset" for kind in type(dataset).__mro__
    )


def _is_hugging_face(dataset: Any) -> bool:
    return any(kind.__module__.partition(".")[0] == "datasets" for kind in type(dataset).__mro__)


def _shuffles(sampler: Any) -> bool | None:
    if isinstance(getattr(sampler, "shuffle", None), bool):  # DistributedSampler
        return bool(sampler.shuffle)
    names = {kind.__name__ for kind in type(sampler).__mro__}
    if names & {"RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler", "SeedableRandomSampler"}:
        return True
    return False if "SequentialSampler" in names else None


def _length(sized: Any) -> int | None:
    with suppress(Exception):  # a user-defined `__len__` may raise anything
        return len(sized)
    return None


def _class_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
