"""The copying of checkpoints on the background thread, and the release of those that the policy no longer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from autotrack.recording.recorder import Recorder
from autotrack.training.checkpoints.blobs import CheckpointBlobs
from autotrack.training.checkpoints.files import WAITING, Checkpoint, CheckpointFile, OpenFiles, why_not_copied
from autotrack.training.checkpoints.log import CheckpointLog
from autotrack.training.checkpoints.policy import CheckpointPolicy

BACKLOG = 3  # checkpoints that may wait to be copied before those that are not among the best are skipped


class CheckpointCopier:
    """Copies checkpoints one after another. `submit` is called on the training's thread, the rest in the background.

    `kept` are the checkpoints that are stored at present, in the order in which they were written.
    """

    def __init__(self, training: Recorder, policy: CheckpointPolicy, open_files: OpenFiles, log: CheckpointLog) -> None:
        self.kept: list[Checkpoint] = []
        self._training = training
        self._policy = policy
        self._open_files = open_files
        self._log = log
        self._blobs = CheckpointBlobs(training)
        self._submitted = 0  # counted on the training's thread
        self._settled = 0  # counted on the background thread

    def submit(self, checkpoint: Checkpoint) -> None:
        """Queue a checkpoint, whose files have been opened, to be copied."""
        self._submitted += 1
        self._training.collector.background.submit("copying a checkpoint", partial(self._settle, checkpoint))

    def _settle(self, checkpoint: Checkpoint) -> None:
        """Copy a checkpoint if policy and limits allow, record the outcome, then release superseded ones."""
        self._settled += 1
        waiting = [file for file in checkpoint.files if file.reason == WAITING]
        self._copy(checkpoint, waiting)
        if checkpoint.stored:
            self.kept.append(checkpoint)
        self._mark(checkpoint)
        for file in waiting:
            self._log.record(checkpoint, file)
        self._release_outdone(checkpoint)

    def _copy(self, checkpoint: Checkpoint, waiting: Sequence[CheckpointFile]) -> None:
        """Copy the `waiting` files of a checkpoint, unless it must not be copied, and close all its files."""
        try:
            reason = self._why_not(checkpoint)
            for file in waiting:
                file.reason = reason or self._copy_file(checkpoint, file)
                self._open_files.close(file)
        finally:
            for file in checkpoint.files:
                self._open_files.close(file)
        checkpoint.complete = bool(checkpoint.files) and all(file.kept is not None for file in checkpoint.files)

    def _why_not(self, checkpoint: Checkpoint) -> str:
        """The reason why a checkpoint must not be copied; empty if it is to be copied."""
        together = [*self.kept, checkpoint]
        outdone = self._policy.outdone(together)
        if checkpoint in outdone:
            return f"not kept by checkpoints={self._policy.name!r}"
        if self._submitted - self._settled > BACKLOG and self._policy.may_skip(checkpoint, together):
            return "newer ones were written before it could be copied"
        limit = self._training.over_limit(checkpoint.size, self._blobs.freed_by(outdone))
        if limit is not None:
            self._log.miss(f"not kept, beyond {limit}", f"{checkpoint.name} ({checkpoint.size:,} bytes)")
            return f"beyond {limit}"
        return ""

    def _copy_file(self, checkpoint: Checkpoint, file: CheckpointFile) -> str:
        """Store one file, if it was not overwritten; returns the reason why it is not stored, empty if it is."""
        try:
            file.open()
            if file.is_unchanged():
                kept = self._blobs.store(checkpoint, file.descriptor)
                if file.is_unchanged():
                    file.kept = kept
                    return ""
                self._blobs.release(checkpoint, kept)
            reason = "overwritten before it could be copied"
        except OSError as error:
            reason = why_not_copied(error)
        self._log.miss(reason, file.name)
        return reason

    def _mark(self, newest: Checkpoint) -> None:
        """Update the marks best and last of the stored checkpoints, and record changed marks of older ones."""
        marks = self._policy.marks(self.kept)
        for one in self.kept:
            before = one.is_best, one.is_last
            one.is_best, one.is_last = marks[one.number]
            if one is not newest and before != marks[one.number]:
                for file in one.files:
                    self._log.record(one, file)

    def _release_outdone(self, newest: Checkpoint) -> None:
        outdone = self._policy.outdone(self.kept)
        for older in outdone:
            self._release(older, f"{newest.name} took its place: checkpoints={self._policy.name!r}")
        self.kept = [one for one in self.kept if one not in outdone]

    def _release(self, checkpoint: Checkpoint, reason: str) -> None:
        for file in checkpoint.files:
            kept, file.kept = file.kept, None
            if kept is not None:
                file.reason = reason
                self._log.record(checkpoint, file, digest=kept.digest)
                self._blobs.release(checkpoint, kept)
