"""The trackers that are measured, in the order of the table."""

from __future__ import annotations

import importlib

from benchmarks.trackers.base import Tracker

PLACES = {
    "list.append": "floor:ListAppend",
    "autotrack": "autotrack:Autotrack",
    "mlflow": "mlflow:Mlflow",
    "mlflow-async": "mlflow:MlflowAsync",
    "mlflow-nomodel": "mlflow:MlflowWithoutModel",
    "wandb": "wandb:Wandb",
    "trackio": "trackio:Trackio",
    "aim": "aim:Aim",
    "dvclive": "dvclive:Dvclive",
    "tensorboardX": "tensorboard:TensorboardX",
    "torch": "tensorboard:TorchSummaryWriter",
    "raw": "raw:RawSql",
}
FLOOR = "list.append"
OURS = "autotrack"


def tracker_class(key: str) -> type[Tracker]:
    """The adapter called `key`; importing it imports no tracker."""
    module, name = PLACES[key].split(":")
    found: type[Tracker] = getattr(importlib.import_module(f"benchmarks.trackers.{module}"), name)
    return found


def tracker(key: str) -> Tracker:
    """A new adapter called `key`."""
    return tracker_class(key)()
