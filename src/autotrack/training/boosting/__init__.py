"""Parts shared by integrations of boosted trees: a training is one call, evaluated by evaluation set and metric.

| module | purpose |
|---|---|
| `training` | the outermost call as a training; trainings inside it or inside an estimator are not recorded again |
| `names` | keys of metrics from the names of evaluation sets, parameters from the arguments of a call |
| `keeping` | the model in the library's own format, and its feature importances |
"""

from autotrack.training.boosting.keeping import keep_importances, keep_model
from autotrack.training.boosting.names import call_params, name_of, prefixes
from autotrack.training.boosting.training import Boosting, TrainingWatch, begin, outer_fits, present, step_aside

__all__ = [
    "Boosting", "TrainingWatch", "begin", "call_params", "keep_importances", "keep_model", "name_of",
    "outer_fits", "prefixes", "present", "step_aside",
]  # fmt: skip
