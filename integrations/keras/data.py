"""The data of a fit: sizes, shapes and bounded fingerprints; no batch is ever drawn from a generator or loader."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from autotrack.events import Dataset, Role
from autotrack.recording.fingerprint import describe
from autotrack.recording.lifecycle.trainings import Training
from autotrack.training.neural.loaders import describe_loader
from autotrack.values import plain

MOST_PARTS = 50
DEFAULT_BATCH = 32  # Keras' own, for arrays


class Parts:
    """The data of one call of `fit`, by role and name; arrays are described, everything else only named."""

    def __init__(self, given: Mapping[str, Any] | None = None, *, held_out: float = 0.0) -> None:
        """`held_out` is the `validation_split` of the fit."""
        given = given or {}
        self._held_out = held_out
        self._known: list[tuple[Role, Any]] = []
        self._given: list[tuple[Role, str, Any]] = [
            ("train", name, given[name]) for name in ("x", "y", "sample_weight") if name in given
        ]
        validation = given.get("validation_data")
        if isinstance(validation, (tuple, list)):
            names = ("x", "y", "sample_weight")
            self._given += [("val", f"val_{name}", one) for name, one in zip(names, validation, strict=False)]
        elif validation is not None:
            self._given.append(("val", "val_x", validation))

    def record(self, training: Training) -> None:
        """Record each part as a dataset of the training, at most `MOST_PARTS` of them."""
        described = 0
        for role, name, value in self._sides():
            for key, part in _leaves(name, value):
                described += 1
                if part is None:
                    continue
                if described > MOST_PARTS:
                    training.report("data", f"only the first {MOST_PARTS} arrays are described")
                    return
                digest, meta = _described(part)
                training.emit(
                    Dataset(
                        run=training.id, time=time.time(), training=training.number, name=key, role=role,
                        digest=digest, meta=plain(meta),
                    )
                )  # fmt: skip

    def _sides(self) -> Iterator[tuple[Role, str, Any]]:
        """The data by role, with that of training apart into what is trained on and what `validation_split` holds out.

        Keras holds out the last rows: of n samples those from `floor(n * (1 - validation_split))` on.
        """
        inputs = [part for _, name, value in self._given if name == "x" for _, part in _leaves(name, value)]
        given = any(role == "val" for role, _, _ in self._given)  # which Keras prefers
        if given or not 0.0 < self._held_out < 1.0 or not inputs or not all(map(_is_array, inputs)):
            yield from self._given
            return
        at = math.floor(inputs[0].shape[0] * (1.0 - self._held_out))
        for role, name, value in self._given:
            for key, part in _leaves(name, value) if role == "train" else ():
                yield role, key, _rows(part, slice(None, at))
                yield "val", f"val_{key}", _rows(part, slice(at, None))

    def let_go(self) -> None:
        """Replace references to the data by weak ones: `role_of` recognises an object as long as it is alive."""
        for role, name, given in self._given:
            self._known += [(role, one) for _, part in _leaves(name, given) if (one := _weak(part)) is not None]
        self._given = []

    def role_of(self, value: Any) -> str:
        """The role that this very object has in the training; empty if it has none."""
        wanted = [part for _, part in _leaves("", value)]
        known = [(role, part) for role, name, given in self._given for _, part in _leaves(name, given)]
        known += [(role, part) for role, one in self._known if (part := one()) is not None]
        return next((role for role, part in known if any(part is one for one in wanted)), "")

    def rows_per_batch(self, batch_size: Any) -> int | None:
        """The number of samples in a batch; None if it is not known without drawing one."""
        inputs = next((value for role, name, value in self._given if name == "x"), None)
        own = getattr(inputs, "batch_size", None)
        if isinstance(own, int) and not isinstance(own, bool):
            return own
        if not all(_is_array(part) for _, part in _leaves("x", inputs)):
            return None
        return batch_size if isinstance(batch_size, int) else DEFAULT_BATCH


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of nested inputs, each by its name or place."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{name}.{key}", part)
    elif isinstance(value, (list, tuple)) and value and _is_array(value[0]):
        for place, part in enumerate(value):
            yield from _leaves(f"{name}.{place}", part)
    else:
        yield name, value


def _rows(data: Any, rows: slice) -> Any:
    if data is None or not _is_array(data):
        return data
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]


def _weak(value: Any) -> Any:
    try:
        return weakref.ref(value)
    except TypeError:  # lists, tuples, None
        return None


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and (hasattr(value, "dtype") or hasattr(value, "dtypes"))


def _described(value: Any) -> tuple[str, dict[str, Any]]:
    if _is_array(value) or isinstance(value, (list, tuple)):
        return describe(value)
    kind = type(value)
    if hasattr(value, "batch_sampler"):
        return describe_loader(value)
    meta: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    held = getattr(value, "__dict__", {})
    for name in ("batch_size", "workers", "use_multiprocessing", "max_queue_size"):
        found = held.get(name, held.get(f"_{name}"))
        if isinstance(found, (bool, int)):
            meta[name] = found
    return "", meta
