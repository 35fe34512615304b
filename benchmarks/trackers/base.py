"""What every tracker must be able to do to be measured, each in its own words.

An adapter lives in a fresh process whose current folder, home folder and environment belong to it alone, so it
may use the tracker's defaults. What a tracker has no means for raises `NotOffered` with the reason, which the
table prints in place of a figure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd

Log = Callable[[dict[str, float], int], Any]
Params = Mapping[str, float | str]


class NotOffered(Exception):  # noqa: N818 - it is an answer, not a failure
    """The tracker has nothing for this; the message says what is missing."""


class Tracker(ABC):
    """One way of tracking a run.

    `name` is what the table calls it, `distributions` are the packages whose versions are reported, `imports` is the
    import statement as a user writes it, and `script` is the whole program of one run with one point.
    `environment` is added to the environment of its processes.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]] = ()
    imports: ClassVar[str]
    script: ClassVar[str]
    environment: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def open(self, name: str = "run", params: Params | None = None) -> Log:
        """Begin a run; returns the tracker's own `log(values, step)`, wrapped only where its signature differs."""

    @abstractmethod
    def finish(self) -> None:
        """End the open run as a user would: all that was logged is on its way to disk."""

    @abstractmethod
    def count(self, metric: str) -> int:
        """How many points of `metric` the tracker's own reader finds, over all runs in this folder."""

    def prepare_reading(self) -> None:
        """Import what reading needs, so that the cost of imports is not counted with it."""
        return

    def settle(self) -> None:
        """Do what makes finished runs queryable, if it is not done by `finish`."""
        return

    def log_many(self, rows: list[dict[str, float]]) -> int:
        """Add the rows to the open run by the tracker's call for many at once; returns how many, 0 if it has none."""
        return 0

    def fill(self, runs: int, metrics: int, steps: int) -> None:
        """Record `runs` finished runs of metrics `m0`, `m1`, … over `steps` steps; override to fill in bulk."""
        for number in range(runs):
            log = self.open(f"run-{number}", {"number": number})
            for step in range(steps):
                log({f"m{metric}": point(number, metric, step) for metric in range(metrics)}, step)
            self.finish()

    def history(self, metrics: list[str]) -> pd.DataFrame:
        """All points of `metrics` of all runs in one frame, a row per point."""
        raise NotOffered("no reader for metric histories")

    def fill_searchable(self, runs: int) -> None:
        """Record `runs` runs with the params `lr` and `group` (`param_of`) and one value of `loss`."""
        for number in range(runs):
            log = self.open(f"run-{number}", param_of(number))
            log({"loss": point(number, 0, 0)}, 0)
            self.finish()

    def search(self, limit: int | None) -> int:
        """Find the runs with `lr` 0.1, ordered by `loss`; returns how many.

        With a `limit` the best ones alone, with their params and metrics; without, all, as the search returns them.
        """
        raise NotOffered("no search over runs")

    def autolog(self) -> None:
        """Switch automatic logging for scikit-learn on, with defaults."""
        raise NotOffered("no automatic logging for scikit-learn")

    def trained(self) -> int:
        """How many runs automatic logging has recorded in this folder, for one that lost them would look fast."""
        raise NotOffered("no automatic logging for scikit-learn")

    def lightning(self) -> dict[str, Any]:
        """What to give to a `Trainer` of Lightning, anew for each: `logger`, `callbacks`."""
        raise NotOffered("no logger for PyTorch Lightning")

    def transformers(self) -> dict[str, Any]:
        """What to give to a `Trainer` of transformers, anew for each: `report_to`, `callbacks`."""
        raise NotOffered("no callback for transformers")

    def keras(self) -> dict[str, Any]:
        """What to give to `fit` of Keras, anew for each: `callbacks` that log every batch."""
        raise NotOffered("no callback for Keras without TensorFlow")

    def candidates(self) -> int:
        """How many candidates of searches automatic logging has recorded in this folder, as runs of their own."""
        raise NotOffered("no automatic logging for scikit-learn")


def point(run: int, metric: int, step: int) -> float:
    """A value that does not compress to nothing: a deterministic scatter in [0, 1)."""
    return ((run * 7919 + metric * 104729 + step * 1299709) * 2654435761 % 4294967296) / 4294967296


def param_of(run: int) -> dict[str, float | str]:
    """The params of searchable run number `run`: one run in ten has `lr` 0.1."""
    return {"lr": (run % 10 + 1) / 10, "group": f"group-{run % 7}", "seed": run}
