"""The stored bytes of checkpoints: files with the same bytes share one blob, deleted with the last that uses it."""

from __future__ import annotations

from collections.abc import Sequence

from autotrack.journal import blobs
from autotrack.recording.recorder import Recorder
from autotrack.training.checkpoints.files import Checkpoint


class CheckpointBlobs:
    """The blobs of a training's checkpoints, each with the numbers of the checkpoints that use it.

    Each blob counts once towards the stored bytes of models of the run. All methods run on the background thread.
    """

    def __init__(self, training: Recorder) -> None:
        self._run = training.id
        self._owner = training.collector
        self._users: dict[str, set[int]] = {}
        self._blobs: dict[str, blobs.Kept] = {}

    def store(self, checkpoint: Checkpoint, descriptor: int) -> blobs.Kept:
        """Store a copy of an open file as a blob that `checkpoint` uses. `OSError` if it cannot be written."""
        kept = blobs.put_descriptor(self._owner.place.blobs, descriptor, self._blobs)
        users = self._users.setdefault(kept.digest, set())
        if not users:
            self._count(kept.size)
            self._blobs[kept.digest] = kept
        users.add(checkpoint.number)
        return kept

    def release(self, checkpoint: Checkpoint, kept: blobs.Kept) -> None:
        """End the use of a blob by `checkpoint`; once no checkpoint uses it, it is deleted if it was created here."""
        users = self._users.get(kept.digest, set())
        users.discard(checkpoint.number)
        if not users and self._users.pop(kept.digest, None) is not None:
            self._count(-kept.size)
            kept = self._blobs.pop(kept.digest, kept)
            if kept.is_new:
                blobs.free(self._owner.place.blobs, kept.digest, kept.stamp)

    def freed_by(self, checkpoints: Sequence[Checkpoint]) -> int:
        """The number of bytes that no other checkpoint uses once all of `checkpoints` are released."""
        numbers = {one.number for one in checkpoints}
        sizes = {file.kept.digest: file.kept.size for one in checkpoints for file in one.files if file.kept is not None}
        return sum(size for digest, size in sizes.items() if self._users.get(digest, set()) <= numbers)

    def _count(self, size: int) -> None:
        self._owner.model_bytes[self._run] += size
