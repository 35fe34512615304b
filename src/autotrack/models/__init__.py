"""Saving and loading models."""

from autotrack.models.loading import load_model
from autotrack.models.saving import SavedModel, save_model

__all__ = ["SavedModel", "load_model", "save_model"]
