"""`Checkpoints`: records the checkpoints of one training.

Each file is opened right after it was written, which takes microseconds, and copied on the background thread from the
open descriptor, so that it can be copied even if the framework deletes it meanwhile. A file that is overwritten before
it was copied is detected and reported. Every file becomes an artifact at once; a later event updates it with whether
its bytes are stored and, if not, why.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

from autotrack._guard import guarded
from autotrack.recording.collector import is_paused
from autotrack.recording.recorder import Recorder
from autotrack.training.checkpoints.copying import CheckpointCopier
from autotrack.training.checkpoints.files import (
    Checkpoint,
    CheckpointFile,
    OpenFiles,
    as_unicode,
    files_of,
    why_not_copied,
)
from autotrack.training.checkpoints.log import CheckpointLog
from autotrack.training.checkpoints.origins import remember
from autotrack.training.checkpoints.policy import CheckpointPolicy
from autotrack.values import as_number

FOLDER = "checkpoints"
MOST_FILES = 500


class Checkpoints:
    """The checkpoints of one training. `saved` is called on the training's thread; copies are made in the background.

    `policy` is which ones are stored: "none" (not even recorded), "best", "last", "best+last" or "all"; the others are
    recorded by name, size, step and score. `keep` is the number of best ones, for each monitored metric. Stored bytes
    are limited by the settings `model_limit` (one checkpoint) and `models_per_run_limit` (all models of the run).
    """

    def __init__(self, training: Recorder, policy: str = "best+last", *, keep: int = 1) -> None:
        """Create the record of a training's checkpoints; `InvalidValueError` for an unknown policy."""
        self._policy = CheckpointPolicy(policy, keep)
        self._training = training
        self._seen = 0
        self._finished = False
        self._open_files = OpenFiles()
        self._log = CheckpointLog(training)
        self._copier = CheckpointCopier(training, self._policy, self._open_files, self._log)

    def saved(
        self,
        path: str | os.PathLike[str],
        *,
        step: int | None = None,
        epoch: float | None = None,
        score: Any = None,
        monitor: str | None = None,
        mode: str | None = None,
        best: bool | None = None,
        last: bool | None = None,
    ) -> None:
        """Record the file or folder `path`, which the framework has just written. Raises no `Exception`.

        `score` is the value of the metric `monitor` at this point; `mode` is "min" or "max", whichever is better.
        `best` and `last` are the framework's own marks, None if it has none: without `mode` the latest checkpoint that
        is marked best is the best, and without `last` the latest checkpoint is the last.
        """
        if self._training.is_silent or is_paused():
            return
        self._seen += 1
        if self._policy.name == "none":
            return
        with guarded("recording a checkpoint"):
            number = as_number("score", score) if score is not None else None
            facts = {"step": step, "epoch": epoch, "score": number, "monitor": monitor, "best": best, "last": last}
            checkpoint = Checkpoint(self._seen, as_unicode(Path(path).name), facts, _ranked(number), mode)
            place = Path(path).absolute()
            self._take(checkpoint, place)
            owner = self._training.collector
            keep = remember(owner.place, place, self._training.id)
            self._copier.submit(checkpoint)
            owner.background.submit("noting whose checkpoint it is", keep)

    def finish(self) -> None:
        """Report the counts after the last checkpoint, once all are copied; the process waits for that at its end."""
        if self._seen and not self._finished:
            self._finished = True
            self._training.collector.background.submit("the report on checkpoints", self._report_all)

    def _take(self, checkpoint: Checkpoint, path: Path) -> None:
        """Open the files of a checkpoint, to be copied later, and record each as an artifact that is not yet stored."""
        found = files_of(path)
        for name, place in found[:MOST_FILES]:
            file = CheckpointFile(f"{FOLDER}/{as_unicode(name)}", place, (0,), time.time())
            checkpoint.files.append(file)
            try:
                self._open_files.take(file)
            except OSError as error:
                file.reason = why_not_copied(error)
                self._log.miss(file.reason, file.name)
            self._log.record(checkpoint, file, first=True)
        left_out = len(found) - len(checkpoint.files)
        if left_out:
            self._log.miss(f"files of a checkpoint beyond the first {MOST_FILES}", checkpoint.name, left_out)

    def _report_all(self) -> None:
        self._log.report_further()
        kept = len(self._copier.kept)
        self._training.report(
            "capture",
            f"checkpoints: {self._seen:,} seen, {kept:,} kept (checkpoints={self._policy.name!r})",
            level="info",
        )


def _ranked(score: float | None) -> float | None:
    """A score as a float for ranking; None for NaN or no score."""
    return None if score is None or math.isnan(score) else float(score)
