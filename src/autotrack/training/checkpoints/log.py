"""What is recorded of checkpoints: an artifact for each file, and lines in the capture report for what was lost."""

from __future__ import annotations

import time

from autotrack.events import Artifact
from autotrack.recording.recorder import Recorder
from autotrack.training.checkpoints.files import Checkpoint, CheckpointFile, as_unicode


class CheckpointLog:
    """Records the files of a training's checkpoints, and what could not be stored of them."""

    def __init__(self, training: Recorder) -> None:
        self._training = training
        self._missed: dict[str, int] = {}

    def record(self, checkpoint: Checkpoint, file: CheckpointFile, *, first: bool = False, digest: str = "") -> None:
        """Record a file as an artifact; all but the `first` record of it replace the one before.

        `digest` is that of the bytes that were stored until now.
        """
        kept = file.kept
        facts = {key: value for key, value in checkpoint.facts.items() if value is not None}
        if kept is not None:
            facts.update(best=checkpoint.is_best, last=checkpoint.is_last)
        else:
            facts["reason"] = file.reason
        training = self._training
        training.emit(
            Artifact(
                run=training.id, time=file.time if first else time.time(), training=training.number, name=file.name,
                digest=digest if kept is None else kept.digest, size=file.size if kept is None else kept.size,
                kind="checkpoint", step=checkpoint.facts["step"], source=as_unicode(str(file.path)),
                stored=kept is not None, meta={**facts, "checkpoint": checkpoint.name},
                replaces=None if first else file.time,
            )
        )  # fmt: skip

    def miss(self, reason: str, what: str, count: int = 1) -> None:
        """Report the first loss for each reason at once; `report_further` reports the count of others at the end."""
        if reason not in self._missed:
            self._training.report("checkpoint", f"{what}: {reason}")
        self._missed[reason] = self._missed.get(reason, 0) + count

    def report_further(self) -> None:
        """Report for each reason how many losses there were after the first."""
        for reason, count in self._missed.items():
            if count > 1:
                self._training.report("checkpoint", f"{count - 1:,} more: {reason}", count=count - 1)
