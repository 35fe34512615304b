"""Saves fitted models, within the size limits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from autotrack.exceptions import InvalidValueError
from autotrack.models.saving import save_model
from autotrack.models.skops_file import TooLarge
from autotrack.recording.lifecycle.trainings import Training

_DEPTH = 4


def keep_model(
    training: Training,
    estimator: Any,
    first_rows: Any,
    signature: Mapping[str, Any],
    *,
    with_example: bool,
) -> None:
    """Save the model with the training; one that is too large or cannot be saved is named in the capture report."""
    limit = training.room_for_models()
    size = array_bytes(estimator)
    if limit is not None and size > limit:
        training.report(
            "model", f"not kept: it has more than {limit:,} bytes; configure(model_limit=…, models_per_run_limit=…)"
        )
        return
    try:
        saved = save_model(
            estimator, flavor="sklearn", signature=signature, input_example=first_rows if with_example else None,
            allow_pickle=True, limit=limit,
        )  # fmt: skip
    except TooLarge as reason:
        training.report("model", f"not kept: {reason}; log_model(…) keeps it whatever it takes")
        return
    except InvalidValueError as reason:
        training.report("model", f"not kept: {reason}")
        return
    training.record_model(training.model_name, saved.flavor, saved.files, saved.meta)
    if saved.meta["no_input_example"] and with_example:
        training.report("input example", f"not kept: {saved.meta['no_input_example']}")
    if saved.meta["runs_code"]:
        training.report(
            "model", f"kept as {saved.meta['format']}: loading it runs code and asks for trust=True", level="info"
        )


def array_bytes(value: Any, depth: int = _DEPTH) -> int:
    """The bytes of the arrays reachable from an object: a lower bound of its size, without serialising it."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size
    if hasattr(value, "data") and hasattr(value, "indptr"):
        return int(value.data.nbytes + value.indices.nbytes)
    if depth == 0 or isinstance(value, type):
        return sys.getsizeof(value, 0) if isinstance(value, (bytes, str)) else 0
    if type(value) in (list, tuple):
        return sum(array_bytes(item, depth - 1) for item in value)
    inner = value if type(value) is dict else getattr(value, "__dict__", None)
    return sum(array_bytes(item, depth - 1) for item in inner.values()) if isinstance(inner, dict) else 0
