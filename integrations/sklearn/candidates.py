"""Records each candidate of a search as a run of its own, from the start of its first split to the end of its last."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotrack.events import AnyEvent, Failure, MetricRows, Params, Report
from autotrack.instrument.trampolines import FILENAME
from autotrack.integrations.sklearn.facts import candidate_params
from autotrack.recording.lifecycle.trainings import Training, begin_trial
from autotrack.recording.metrics import MetricRecorder
from autotrack.recording.run import Run

MOST_CANDIDATES = 10_000
SCORE = "score"
SPLIT = ".split"  # after the name of a metric: its values by split


@dataclass
class Candidate:
    """The open run of one candidate; `missing` are the splits that have not ended, `ended` is when the last one did."""

    run: Run
    missing: set[int]
    ended: float | None = None
    scores: list[dict[str, float]] = field(default_factory=list)
    failure: Failure | None = None


class Candidates:
    """Opens, fills and finishes the runs of a search's candidates. Safe for threads that evaluate several at once.

    A candidate's number is its row in `cv_results_`. `metric` is the name given to a score that has none; `varied` are
    parameters of estimators in the grid (see `varied_params`).
    """

    def __init__(self, training: Training, metric: str = SCORE, varied: Collection[str] = ()) -> None:
        self.count = 0
        self.varied = varied
        self.splits = 0
        self._training = training
        self._metric = metric
        self._open: dict[int, Candidate] = {}
        self._opened: set[int] = set()
        self._rows: dict[str, int] = {}
        self._round_start = 0
        self._round_size = 0
        self._round_seen: set[tuple[int, int]] = set()
        self._began = time.time()
        self._lock = threading.Lock()

    def row(self, number: int, of: int, split: int) -> int:
        """The row in `cv_results_` of candidate `number` of a round of `of` candidates.

        A pair of candidate and split that is repeated starts a new round (successive halving has several).
        """
        with self._lock:
            if (number, split) in self._round_seen:
                self._round_start += self._round_size
                self._round_seen.clear()
            self._round_size = of
            self._round_seen.add((number, split))
            return self._round_start + number

    def began(self, row: int, parameters: Mapping[str, Any], splits: int, moment: float) -> None:
        """Record the start of a split of a candidate; the first one opens the candidate's run."""
        with self._lock:
            if row in self._opened or row >= MOST_CANDIDATES:
                return
            self._opened.add(row)
            params = candidate_params(parameters, self.varied)
            run = begin_trial(
                self._training, self._name(row), run_id=self.id(row), params=params.chosen, started=moment
            )  # fmt: skip
            if params.default:
                run.log_params(params.default, origin="default")
            self._open[row] = Candidate(run, set(range(splits)))

    def ended(self, row: int, split: int, result: Mapping[str, Any], moment: float | None = None) -> None:
        """Record the scores of a split at time `moment` (by default now); the last split finishes the candidate's run.

        `result` is what scikit-learn's `_fit_and_score` returns.
        """
        candidate = self._open.get(row)
        if candidate is None:
            return
        values = split_values(result, self._metric)
        candidate.run.log(values, step=split, time=moment)
        if result.get("fit_error") and candidate.failure is None:
            candidate.failure = failure_from(result["fit_error"])
        self._count_down(row, candidate, split, values, moment)

    def failed(self, row: int, failure: Failure, *, interrupted: bool) -> None:
        """Finish the run of a candidate whose evaluation raised an exception that ends the search."""
        candidate = self._open.pop(row, None)
        if candidate is not None:
            candidate.run.finish("killed" if interrupted else "failed", failure=failure)

    def complete(self, parameters: Sequence[Mapping[str, Any]], splits: int, results: Sequence[Any]) -> int:
        """Record candidates whose splits were not observed (they ran in workers); returns how many there are.

        `results` has what `_fit_and_score` returned for every split of every candidate. Their durations are known,
        but not their start times, so they are recorded as ending now.
        """
        unseen = 0
        for row in range(self.count, min(len(parameters), MOST_CANDIDATES)):
            if row not in self._opened or row in self._open:
                self._record_rest(row, parameters[row], results[row * splits : (row + 1) * splits])
                unseen += 1
        self.count = len(parameters)
        return unseen

    def summarise(self, table: Mapping[str, Any]) -> None:
        """Record mean, deviation, rank and times of every candidate, from `cv_results_`."""
        columns = {name: values.tolist() for name, values in summary_columns(table, self._metric).items()}
        for row in sorted(self._opened):
            recorder = MetricRecorder(self._training.collector, self.id(row))
            recorder.log({name: values[row] for name, values in columns.items() if row < len(values)})

    def told(self, event: AnyEvent | MetricRows) -> None:
        """Open, update or finish a candidate's run according to an event from a worker's journal."""
        row = self._row_of(event.run)
        if row is None:
            return
        if isinstance(event, Params):
            self.began(row, {}, self.splits, event.time)
        candidate = self._open.get(row)
        if candidate is None:
            return
        if isinstance(event, Report) and candidate.failure is None:
            candidate.failure = failure_from(event.message)
        if isinstance(event, MetricRows):
            for position, split in enumerate(event.steps.tolist()):
                values = dict(zip(event.frame.keys, (found[position].item() for found in event.values), strict=True))
                self._count_down(row, candidate, split, values, float(event.times[position]))

    def close(self) -> None:
        """Finish the runs that are still open when the search ends, as failed or killed."""
        for row in tuple(self._open):
            candidate = self._open.pop(row)
            failure = candidate.failure
            candidate.run.finish("killed" if failure is None else "failed", failure=failure)

    def id(self, row: int) -> str:
        """The run id of a candidate."""
        return candidate_id(self._training, row)

    def _row_of(self, run_id: str) -> int | None:
        while run_id not in self._rows and len(self._rows) < MOST_CANDIDATES:
            self._rows[self.id(len(self._rows))] = len(self._rows)
        return self._rows.get(run_id)

    def _name(self, row: int) -> str:
        number = f"{self._training.number}." if self._training.number else ""
        return f"{self._training.run.name}/{number}{row}"

    def _record_rest(self, row: int, parameters: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
        lengths = [float(result.get("fit_time", 0.0)) + float(result.get("score_time", 0.0)) for result in results]
        now = time.time()
        moment = max(self._began, now - sum(lengths))  # splits that ran side by side took less than their sum
        self.began(row, parameters, len(results), moment)
        for split, (result, length) in enumerate(zip(results, lengths, strict=True)):
            moment = min(moment + length, now)
            if row in self._open and split in self._open[row].missing:
                self.ended(row, split, result, moment)

    def _count_down(
        self, row: int, candidate: Candidate, split: int, values: dict[str, float], moment: float | None
    ) -> None:
        with self._lock:
            candidate.missing.discard(split)
            if moment is not None:  # journals of workers are read one after another: a later end may be heard earlier
                moment = candidate.ended = max(moment, candidate.ended or moment)
            candidate.scores.append(
                {name.removesuffix(SPLIT): value for name, value in values.items() if name.endswith(SPLIT)}
            )
            if candidate.missing:
                return
            self._open.pop(row, None)
        import numpy

        names = candidate.scores[0]
        means = {name: float(numpy.mean([one.get(name, math.nan) for one in candidate.scores])) for name in names}
        candidate.run.log(means, step=0, time=moment)
        failure = candidate.failure
        candidate.run.finish("finished" if failure is None else "failed", failure=failure, time=moment)
        held_out = {name: value for name, value in means.items() if name.startswith("val/")}
        self._training.log(held_out, step=row, time=moment)


def candidate_id(search: Training, row: int) -> str:
    """The run id of a candidate, derived from the search's id so that every process computes the same one."""
    return hashlib.blake2b(f"{search.id}/{search.number}/{row}".encode(), digest_size=8).hexdigest()


def split_values(result: Mapping[str, Any], metric: str) -> dict[str, float]:
    """The metrics of one split, from what scikit-learn's `_fit_and_score` returns.

    Scores are named `val/score.split`: the metric `val/score` of a candidate is their mean, by which it is judged.
    """
    scores = named("val/", result.get("test_scores"), metric) | named("train/", result.get("train_scores"), metric)
    values = {f"{name}{SPLIT}": score for name, score in scores.items()}
    return values | {name: result[name] for name in ("fit_time", "score_time") if name in result}


def named(prefix: str, scores: Any, metric: str) -> dict[str, float]:
    """Scores by prefixed metric name; `scores` is a mapping (several metrics), a number (named `metric`) or None."""
    if scores is None:
        return {}
    if isinstance(scores, Mapping):
        return {f"{prefix}{name}": float(score) for name, score in scores.items()}
    return {f"{prefix}{metric}": float(scores)}


def summary_columns(table: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """The columns of `cv_results_` that aggregate the splits, as metrics: `val/score.mean`, `fit_time.std`, …"""
    columns: dict[str, Any] = {}
    for key, values in table.items():
        statistic, _, what = key.partition("_")
        if key in ("iter", "n_resources"):
            columns[key] = values
        elif statistic in ("mean", "std", "rank") and what in ("fit_time", "score_time"):
            columns[f"{what}.{statistic}"] = values
        elif statistic in ("mean", "std", "rank"):
            part, _, name = what.partition("_")
            role = {"test": "val", "train": "train"}.get(part)
            if role is not None:
                columns[f"{role}/{metric if name == SCORE else name}.{statistic}"] = values
    return columns


def metric_name(scoring: Any) -> str:
    """The name for the single score of a search or validation: `scoring` if it is a string, else `score`."""
    return scoring if type(scoring) is str else SCORE


def failure_from(trace: str) -> Failure:
    """Parse the traceback text that scikit-learn kept of a failed fit into a `Failure`."""
    lines = [line for line in trace.rstrip().splitlines() if FILENAME not in line]
    kind, _, message = lines[-1].partition(":") if lines else ("", "", "")
    return Failure(type=kind.strip() or "Exception", message=message.strip(), traceback="\n".join(lines))
