"""The files that Keras' own callbacks write while a model is trained: `ModelCheckpoint` and `BackupAndRestore`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Watch
from autotrack.integrations.keras.measuring import Epochs, metric_name
from autotrack.recording.collector import collector
from autotrack.recording.lifecycle.trainings import Training
from autotrack.training.checkpoints import Checkpoints, origin_of


class ModelSaved(Watch):
    """Watch of a call in which `ModelCheckpoint` may write a file: records it if the file has changed."""

    def __init__(self, kept: Checkpoints, epochs: Epochs, callback: Any, given: Mapping[str, Any]) -> None:
        self._kept = kept
        self._epochs = epochs
        self._callback = callback
        self._epoch = given.get("epoch")
        self._logs = given.get("logs") or {}
        self._path = str(callback._get_file_path(self._epoch, given.get("batch"), self._logs))
        self._before = _looks(self._path)

    def returned(self, result: Any) -> None:
        callback, path = self._callback, self._path
        if _looks(path) in (None, self._before):
            return
        mode = callback.mode if callback.mode in ("min", "max") else None
        if mode is None and callback.monitor_op is not None:
            mode = {"less": "min", "greater": "max"}.get(getattr(callback.monitor_op, "__name__", ""))
        score = self._logs.get(callback.monitor)
        score = score if isinstance(score, (int, float)) else None
        with self._epochs.stopwatch:
            self._kept.saved(
                path, step=self._epochs.step, epoch=self._epoch, score=score,
                monitor=metric_name(callback.monitor), mode=mode if score is not None else None,
                best=True if callback.save_best_only else None,
            )  # fmt: skip


class BackupSaved(Watch):
    """Watch of a call in which `BackupAndRestore` rewrites its files."""

    def __init__(self, training: Training, kept: Checkpoints, epochs: Epochs, callback: Any) -> None:
        self._training = training
        self._kept = kept
        self._epochs = epochs
        self._callback = callback

    def returned(self, result: Any) -> None:
        with self._epochs.stopwatch, guarded("recording a backup"):
            self._kept.saved(
                str(self._callback.backup_dir), step=self._epochs.step, epoch=self._epochs.epoch, last=False
            )


class BackupLoaded(Watch):
    """Watch of a call in which `BackupAndRestore` may restore a backup: passes the id of its run, or "", to `found`."""

    def __init__(self, callback: Any, found: Callable[[str], None]) -> None:
        self._callback = callback
        self._found = found

    def returned(self, result: Any) -> None:
        callback = self._callback
        if os.path.exists(callback._weights_path) and os.path.exists(callback._training_metadata_path):
            self._found(origin_of(collector().place, str(callback.backup_dir)) or "")


def _looks(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
