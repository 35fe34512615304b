"""Keeping the trained model, as a `.keras` file within the size limits."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from autotrack.starting import Training


def keep_model(training: Training, model: Any) -> None:
    """Save the model with the training; what is too big or cannot be saved is named in the capture report."""
    limit = training._collector.settings.model_limit
    name = "model" if training.number <= 1 else f"model-{training.number}"
    with tempfile.TemporaryDirectory(prefix="autotrack-") as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except Exception as error:  # noqa: BLE001 - saving asks the user's own layers for their configs
            training.report("model", f"not kept: {type(error).__name__}: {error}")
            return
        size = path.stat().st_size
        if limit is not None and size > limit:
            training.report(
                "model", f"not kept: its {size:,} bytes exceed model_limit={limit:,}; configure(model_limit=…)"
            )
            return
        training.log_artifact(path, f"{name}/model.keras", kind="model")
