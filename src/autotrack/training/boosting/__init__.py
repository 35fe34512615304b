"""What libraries of boosted trees have in common: a training is one call, its evaluations are by set and metric.

| module | what it is |
|---|---|
| `training` | the outermost call as a training; what is trained in it or in an estimator is not recorded again |
| `names` | keys of metrics from the names of evaluation sets, parameters from the arguments of a call |
| `keeping` | the model in the library's own format, and what it goes by |
"""

from autotrack.training.boosting.keeping import keep_importances, keep_model
from autotrack.training.boosting.names import call_params, name_of, prefixes
from autotrack.training.boosting.training import Boosting, Watch, begin, outer_fits, present, step_aside

__all__ = [
    "Boosting", "Watch", "begin", "call_params", "keep_importances", "keep_model", "name_of",
    "outer_fits", "prefixes", "present", "step_aside",
]  # fmt: skip
