"""scikit-learn: every outermost fit of an estimator is a training."""

from autotrack.integrations.sklearn.integration import SklearnIntegration

__all__ = ["SklearnIntegration"]
