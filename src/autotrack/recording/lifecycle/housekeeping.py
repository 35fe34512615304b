"""Housekeeping during a long training: warnings of a full disk, and folding of a large journal.

The training process itself never folds its journal into the store: it starts a short-lived process of low priority for
that. With `background_fold=None` the journal is folded by the next reader.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

from autotrack._guard import warn_once
from autotrack.recording.collector import Collector

LITTLE_ROOM = 10 << 30
LITTLE_SHARE = 0.05
LOOK_AT_DISK_EVERY = 60.0


class Housekeeping:
    """Called with each heartbeat: warns once when the disk is nearly full, and folds the journal in a child process.

    A folding process starts when the journal has grown by `background_fold` bytes, unless one is running or the setting
    `store` is used.
    """

    def __init__(self, owner: Collector) -> None:
        self._owner = owner
        self._folded = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._look_at_disk = 0.0

    def __call__(self) -> None:
        """Check the free disk space at most once a minute, and start a folding process if the journal has grown."""
        if time.monotonic() >= self._look_at_disk:
            self._look_at_disk = time.monotonic() + LOOK_AT_DISK_EVERY
            self._check_room()
        self._fold_if_large()

    def _check_room(self) -> None:
        try:
            usage = shutil.disk_usage(self._owner.place.path)
        except FileNotFoundError:  # the folder was moved, or the first run has not created it yet
            return
        if usage.free < min(LITTLE_ROOM, LITTLE_SHARE * usage.total):
            warn_once(
                "room",
                f"autotrack: only {usage.free / 2**30:.1f} GB are free where runs are recorded "
                f"({self._owner.place.path}); `autotrack gc` frees what nothing refers to",
            )

    def _fold_if_large(self) -> None:
        settings, journal = self._owner.settings, self._owner.current_journal
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if journal is None or settings.background_fold is None or self._process is not None or settings.store:
            return
        if journal.size - self._folded < settings.background_fold:
            return
        self._folded = journal.size
        self._process = subprocess.Popen(
            [sys.executable, "-m", "autotrack.store", str(self._owner.place.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
