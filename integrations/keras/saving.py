"""Saves the trained model as a `.keras` file, within the size limits."""

from __future__ import annotations

from typing import Any

from autotrack.integrations.keras.model_facts import bytes_of, quiet
from autotrack.models import save_model
from autotrack.recording.lifecycle.trainings import Training


def keep_model(training: Training, model: Any) -> None:
    """Save the model with the training; if it is too big or cannot be saved, the capture report names the reason.

    A model whose weights alone exceed the limit is not written at all.
    """
    if _is_too_big(training, bytes_of(model)):
        return
    with training.model_folder() as folder:
        try:
            with quiet():
                saved = save_model(
                    model, flavor="keras", origin={"run": training.id, "training": training.number}, folder=folder
                )
        except Exception as error:  # noqa: BLE001 - saving asks the user's own layers for their configs
            training.report("model", f"not kept: {type(error).__name__}: {error}")
            return
        training.record_model(training.model_name, saved.flavor, saved.files, saved.meta)


def _is_too_big(training: Training, size: int) -> bool:
    limit = training.over_limit(size)
    if limit is not None:
        training.report("model", f"not kept: its {size:,} bytes exceed {limit}")
    return limit is not None
