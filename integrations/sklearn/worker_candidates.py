"""Records candidates that a search evaluates in worker processes, while they run.

A search pickles itself, callbacks included, into every task for its workers. So an additional callback carries the
pickled training to them; unpickling it in a worker patches the evaluation of splits there, and their scores go to the
worker's own journal. The searching process opens and finishes the runs, according to the journals of its workers.
"""

from __future__ import annotations

import functools
import math
import os
import pickle
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from autotrack._guard import guarded
from autotrack.events import AnyEvent, MetricRows
from autotrack.instrument.patching import Patches
from autotrack.integrations.sklearn.candidates import MOST_CANDIDATES, Candidates, candidate_id, split_values
from autotrack.integrations.sklearn.facts import candidate_params
from autotrack.integrations.sklearn.fitting import Fit
from autotrack.journal.reader import JournalReader, journals
from autotrack.recording.collector import Collector, is_worker
from autotrack.recording.failures import describe_failure
from autotrack.recording.lifecycle.trainings import Training
from autotrack.recording.metrics import MetricRecorder

CALLBACKS = "_skl_callbacks"
WORKER_SPLIT = "sklearn.worker_split"
FIT_ERROR = "fit"
_LOCAL_BACKENDS = ("LokyBackend", "MultiprocessingBackend")

_patches = Patches()


class WorkerCarrier:
    """A scikit-learn callback without effect of its own, pickled with each task of a search to its worker.

    `search` is the training as pickled bytes, so that a failure to unpickle it cannot break the task; `first` is the
    row of the first candidate in the current round; `varied` are parameters of estimators in the grid.
    """

    def __init__(self, search: bytes, metric: str, varied: Sequence[str] = (), first: int = 0) -> None:
        self.search = search
        self.metric = metric
        self.varied = varied
        self.first = first

    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Nothing to do."""

    def __reduce__(self) -> Any:
        return _arrived, (self.search, self.metric, self.varied, self.first)


class Attachment:
    """Adds a callback to an estimator's callbacks until `detach`, without changing the user's own."""

    def __init__(self, estimator: Any, callback: Any) -> None:
        self._estimator = estimator
        self._before = vars(estimator).get(CALLBACKS)
        setattr(estimator, CALLBACKS, [*(self._before or ()), callback])

    def detach(self) -> None:
        """Restore the callbacks that the estimator had before."""
        if self._before is not None:
            setattr(self._estimator, CALLBACKS, self._before)
        else:
            vars(self._estimator).pop(CALLBACKS, None)


class ListeningFit(Fit):
    """A fit during which an autotrack callback may be attached to the estimator."""

    _attached: Attachment | None = None

    def listen(self, callback: Any) -> None:
        """Attach `callback` to the estimator until the fit ends."""
        self._attached = Attachment(self._estimator, callback)

    def measure(self) -> None:
        """Set `duration` and detach the callback; call immediately after the fit has ended."""
        super().measure()
        attached, self._attached = self._attached, None
        if attached is not None:
            with guarded("removing a callback"):
                attached.detach()


class Workers:
    """Reads the journals of this process's workers for events about a search's candidates, from its creation on."""

    def __init__(self, owner: Collector, candidates: Candidates, search: Any) -> None:
        self._owner = owner
        self._candidates = candidates
        self._search = search
        self._positions: dict[str, int] = {}
        self._foreign: set[str] = set()
        self._later: list[AnyEvent | MetricRows] = []
        self._lock = threading.Lock()
        self._closed = False
        for journal in self._journals():
            self._positions[journal.id] = journal.committed() or 0
        owner.pulses.append(self.listen_now_and_then)

    def listen_now_and_then(self) -> None:
        """Pass the events of up to now to the candidates.

        One that a worker writes while others are read would come before earlier ones of those: it waits.
        """
        self.listen(time.time())

    def listen(self, until: float = math.inf) -> None:
        """Pass new events to the candidates: params and failures first, then scores, each in order of time."""
        with self._lock:
            if self._closed:
                return
            self._candidates.splits = vars(self._search).get("n_splits_", 0)
            heard, self._later = self._later, []
            for journal in self._journals():
                batch = journal.read(self._positions.get(journal.id, 0))
                self._positions[journal.id] = batch.end
                heard += batch.events
            for event in sorted(heard, key=_order):
                if _last_moment(event) <= until:
                    self._candidates.told(event)
                else:
                    self._later.append(event)

    def close(self) -> None:
        """Read the remaining events and stop polling the journals."""
        with guarded("what workers recorded"):
            self.listen()
        with self._lock:  # a heartbeat that waits for it must not open a run that nothing would end
            self._closed = True
        if self.listen_now_and_then in self._owner.pulses:
            self._owner.pulses.remove(self.listen_now_and_then)

    def _journals(self) -> list[JournalReader]:
        found = []
        for journal in journals(self._owner.place.journals):
            if journal.id in self._foreign:
                continue
            if journal.id not in self._positions and not _may_be_child(journal.header.pid):
                self._foreign.add(journal.id)
                continue
            found.append(journal)
        return found


def works_in_processes(estimator: Any) -> bool:
    """Whether a search will evaluate its splits in worker processes of this machine, and supports callbacks."""
    parallel = sys.modules.get("joblib.parallel")
    if parallel is None or not hasattr(estimator, "set_callbacks"):
        return False
    backend = parallel.get_active_backend()[0]
    if type(backend).__name__ not in _LOCAL_BACKENDS:
        return False
    return bool(parallel.effective_n_jobs(getattr(estimator, "n_jobs", None)) > 1)


def _arrived(search: bytes, metric: str, varied: Sequence[str], first: int) -> WorkerCarrier:
    """Unpickle a `WorkerCarrier`; in a worker process, patch scikit-learn to record splits from now on."""
    validation = sys.modules.get("sklearn.model_selection._validation")
    if validation is not None and is_worker():
        with guarded("observing the splits of a worker"):
            if _patches.function(validation._fit_and_score, WORKER_SPLIT):
                _patches.observe(WORKER_SPLIT, _on_split)
    return WorkerCarrier(search, metric, varied, first)


def _on_split(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _WorkerSplit | None:
    callbacks = getattr(kwargs.get("caller"), CALLBACKS, ())
    carrier = next((callback for callback in callbacks if type(callback) is WorkerCarrier), None)
    if carrier is None or kwargs.get("candidate_progress") is None:
        return None
    row, split = carrier.first + kwargs["candidate_progress"][0], kwargs["split_progress"][0]
    if row >= MOST_CANDIDATES:
        return None
    search = _unpickled(carrier.search)
    recorder = MetricRecorder(search.collector, candidate_id(search, row))
    params = candidate_params(kwargs["parameters"] or {}, carrier.varied)
    recorder.log_params(params.chosen or {"candidate": row})
    if params.default:
        recorder.log_params(params.default, origin="default")
    return _WorkerSplit(recorder, split, carrier.metric)


@functools.lru_cache(maxsize=4)
def _unpickled(search: bytes) -> Training:
    training: Training = pickle.loads(search)
    return training


class _WorkerSplit:
    """Watch of the evaluation of one split in a worker: writes its scores or error to the worker's own journal."""

    def __init__(self, recorder: MetricRecorder, split: int, metric: str) -> None:
        self._recorder = recorder
        self._split = split
        self._metric = metric

    def returned(self, result: Any) -> None:
        if result.get("fit_error"):
            self._recorder.report(FIT_ERROR, result["fit_error"])
        self._recorder.log(split_values(result, self._metric), self._split)

    def raised(self, error: BaseException) -> None:
        self._recorder.report(FIT_ERROR, describe_failure(error).traceback)


def _order(event: AnyEvent | MetricRows) -> tuple[bool, float]:
    return (True, float(event.times[0])) if isinstance(event, MetricRows) else (False, event.time)


def _last_moment(event: AnyEvent | MetricRows) -> float:
    return float(event.times.max()) if isinstance(event, MetricRows) else event.time


def _may_be_child(process: int) -> bool:
    """Whether `process` (a PID) is a child of this process; True also for one that has ended, which may have been."""
    import psutil

    try:
        return bool(psutil.Process(process).ppid() == os.getpid())
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
