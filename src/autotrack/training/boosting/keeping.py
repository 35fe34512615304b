"""Recording of a boosted model in its library's own format, which loads without running code, and its importances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotrack.training.boosting.training import Boosting

MOST_FEATURES = 1_000


def keep_model(boosting: Boosting, flavor: str, model: Any, inputs: Mapping[str, Any] | None) -> None:
    """Save and record the model, if `log_models` is on; `inputs` is the input schema if the data was not observed."""
    training = boosting.training
    if not boosting.options.log_models or not boosting.is_detailed or training.is_silent:
        return
    from autotrack.models.saving import save_model

    takes = boosting.inputs or inputs
    with training.model_folder() as folder:
        saved = save_model(
            model, flavor=flavor, signature=None if takes is None else {"inputs": dict(takes), "outputs": None},
            input_example=boosting.first_rows if boosting.options.log_input_examples else None,
            origin={"run": training.id, "training": training.number}, folder=folder,
        )  # fmt: skip
        training.record_model(training.model_name, saved.flavor, saved.files, saved.meta)


def keep_importances(boosting: Boosting, features: Sequence[str], columns: Mapping[str, Sequence[float]]) -> None:
    """Record feature importances as a table, sorted by the first of `columns`; the first `MOST_FEATURES` features."""
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
