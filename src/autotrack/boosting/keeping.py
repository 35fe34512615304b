"""The model in its library's own format, which loads without running code, and the features that it goes by."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autotrack.boosting.training import Boosting
from autotrack.content import bytes_digest, tree_digest

MOST_FEATURES = 1_000
MODEL_FILES = {"xgboost": ("model.ubj", "ubj"), "lightgbm": ("model.txt", "txt"), "catboost": ("model.cbm", "cbm")}


def keep_model(
    boosting: Boosting, flavor: str, model: Any, write: Callable[[], bytes], inputs: Mapping[str, Any] | None
) -> None:
    """Keep what `write` gives of the model, if models are wanted; `inputs` describes the data that it takes."""
    from autotrack.models.requirements import requirements
    from autotrack.models.saving import META, REQUIREMENTS

    training = boosting.training
    if not boosting.options.log_models or not boosting.is_detailed or training.is_silent:
        return
    file, form = MODEL_FILES[flavor]
    files = {file: write()}
    needs = requirements([flavor, "numpy"])
    files[REQUIREMENTS] = "".join(f"{line}\n" for line in needs).encode()
    digests = {name: bytes_digest(data) for name, data in files.items()}
    meta = {
        "flavor": flavor, "format": form, "file": file, "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "signature": None if inputs is None else {"inputs": dict(inputs), "outputs": None},
        "input_example": None, "no_input_example": "", "requirements": needs, "python": platform.python_version(),
        "runs_code": False, "untrusted": (), "details": {}, "run": training.id, "training": training.number,
        "files": digests, "digest": tree_digest(digests.items()),
    }  # fmt: skip
    files[META] = json.dumps(meta, ensure_ascii=False, indent=1).encode()
    training.record_model("model" if training.number <= 1 else f"model-{training.number}", flavor, files, meta)


def keep_importances(boosting: Boosting, features: Sequence[str], columns: Mapping[str, Sequence[float]]) -> None:
    """Keep the table of features, the most important by the first of `columns` first; of many, the first ones."""
    if not features or not columns or not boosting.is_detailed:
        return
    first = next(iter(columns.values()))
    order = sorted(range(len(features)), key=lambda number: -abs(first[number]))
    rows = order[:MOST_FEATURES]
    table = {name: [float(values[number]) for number in rows] for name, values in columns.items()}
    left_out = f"the first {MOST_FEATURES:,} of {len(order):,} features" if len(order) > MOST_FEATURES else ""
    boosting.training.log_evaluation(
        "feature_importances", {"feature": [str(features[number]) for number in rows], **table},
        {"rows": left_out} if left_out else {},
    )  # fmt: skip
