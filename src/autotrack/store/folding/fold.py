"""Folding: the events of the journals are written to the store, each exactly once.

Every reader folds before it answers, so there is one way into the store, for runs whose process is alive, has ended or
was killed. Any number of processes may fold at once, and any of them may be killed at any moment.
"""

from __future__ import annotations

import os
from pathlib import Path

from autotrack.exceptions import ConfigurationError
from autotrack.store.engine import Store
from autotrack.store.folding.report import FoldReport, Progress


def fold(
    store: Store,
    journals_dir: Path | None = None,
    blobs_dir: Path | None = None,
    *,
    delete: bool = True,
    progress: Progress | None = None,
) -> FoldReport:
    """Write all new events of the journals below `journals_dir`, by default the store's own ones, to the store.

    A journal is deleted when its writer is gone and every sink that its header names has confirmed it; the store itself
    has confirmed what is folded. If the database is read-only, locked for long or leased by another host, the journals
    are folded into a private copy of the store for this process, and `Store.unwritable` gives the reason.
    `progress` is called with the bytes folded so far and the bytes to fold. Raises `StoreError`.
    """
    if journals_dir is None:
        if store.place is None:
            raise ConfigurationError("this store has no journals of its own: say where they lie")
        journals_dir = store.place.journals
    report = FoldReport()
    if not _anything_in(journals_dir) and store.writable:
        return report
    from autotrack.store.folding.journals import JournalFold  # with NumPy, which a look at nothing new does not need

    return JournalFold(store, journals_dir, blobs_dir, report, progress).run(delete=delete)


def _anything_in(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
