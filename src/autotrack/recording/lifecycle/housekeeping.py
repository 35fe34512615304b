"""What a long training needs beside it: room on the disk, and a backlog that stays small.

The training itself never folds. Now and then a short-lived process does, at low priority; with
`background_fold=None` nobody does until somebody reads.
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
    """Called with each heartbeat: warns once when the disk is nearly full, and has large journals folded.

    A folding process starts whenever the journal has grown by `background_fold` bytes; never two at once.
    """

    def __init__(self, owner: Collector) -> None:
        self._owner = owner
        self._folded = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._look_at_disk = 0.0

    def __call__(self) -> None:
        """Look whether something is to be done."""
        if time.monotonic() >= self._look_at_disk:
            self._look_at_disk = time.monotonic() + LOOK_AT_DISK_EVERY
            self._check_room()
        self._fold_if_large()

    def _check_room(self) -> None:
        try:
            usage = shutil.disk_usage(self._owner.place.path)
        except FileNotFoundError:  # it was moved, or the first run there has not made it yet
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
