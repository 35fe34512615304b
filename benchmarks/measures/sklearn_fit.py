"""What automatic logging adds to a scikit-learn fit, as the caller waits for it."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import ClassVar

from benchmarks.harness import StepError
from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.trackers.base import Tracker

PLAIN_FITS = 31
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Fit(Measure):
    """Fits of one small model, one after the other."""

    name = "sklearn"
    title = "scikit-learn fit (logistic regression, 2,000 x 20) with defaults: time added on the caller's thread"
    columns: ClassVar[dict[str, Column]] = {
        "added": Column("ms per fit", 25),
        "added_cpu": Column("CPU ms of it"),
        "first": Column("ms, first fit of the process"),
        "plain": Column("ms, the fit itself"),
    }
    full: ClassVar[dict[str, float]] = {"fits": 21, "seconds": 20.0}
    quick: ClassVar[dict[str, float]] = {"fits": 7, "seconds": 5.0}
    trackers: ClassVar[tuple[str, ...]] = (
        "autotrack", "mlflow", "mlflow-nomodel", "wandb", "trackio", "aim", "dvclive", "tensorboardX", "torch",
    )  # fmt: skip
    rounds = (3, 1)
    note = "autotrack and mlflow keep the model by default; linear algebra on one thread; every fit must be on record"

    def turn(self, bench: Bench) -> Figures:
        bench = replace(bench, extra=ONE_THREAD)
        figures = bench.step("sklearn_fit:fit", **self.size)
        recorded = bench.step("sklearn_fit:recorded")["runs"]
        if recorded != figures["fits"]:
            raise StepError(f"{recorded} runs were recorded of {figures['fits']:.0f} fits")
        return figures


def fit(tracker: Tracker, *, fits: int, seconds: float) -> dict[str, float]:
    """Fit without and with automatic logging; milliseconds, medians."""
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression

    data, target = make_classification(2000, 20, random_state=0)

    def timed() -> tuple[float, float]:
        estimator = LogisticRegression()
        began = time.perf_counter(), time.thread_time()
        estimator.fit(data, target)
        return (time.perf_counter() - began[0]) * 1e3, (time.thread_time() - began[1]) * 1e3

    timed()
    plain = [timed() for _ in range(PLAIN_FITS)]
    tracker.autolog()
    first = timed()
    deadline = time.perf_counter() + seconds
    logged = [timed()]
    while len(logged) < fits and time.perf_counter() < deadline:
        logged.append(timed())
    wall, cpu = ([statistics.median(row[part] for row in rows) for rows in (plain, logged)] for part in (0, 1))
    return {
        "added": wall[1] - wall[0],
        "added_cpu": cpu[1] - cpu[0],
        "first": first[0] - wall[0],
        "plain": wall[0],
        "fits": len(logged) + 1,
    }


def recorded(tracker: Tracker) -> dict[str, int]:
    """How many of the fits were recorded."""
    return {"runs": tracker.trained()}
