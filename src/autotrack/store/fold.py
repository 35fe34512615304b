"""Folding: what lies in the journals goes into the store, exactly once, whoever asks and however often.

Every reader folds before it answers, so that there is one way into the store, for runs whose process lives, has
ended well or was killed. Any number of processes may fold at once, and any of them may be killed at any moment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from autotrack.exceptions import ConfigurationError
from autotrack.store.engine import Store

Confirmed = Callable[[str, str], bool]
Progress = Callable[[int, int], None]


@dataclass
class FoldReport:
    """What a fold did. `damaged` counts places that could not be read, `kept` journals that are not done yet."""

    journals: int = 0
    events: int = 0
    points: int = 0
    runs: set[str] = field(default_factory=set)
    damaged: int = 0
    deleted: int = 0
    kept: int = 0


def fold(
    store: Store,
    journals_dir: Path | None = None,
    blobs_dir: Path | None = None,
    *,
    delete: bool = True,
    progress: Progress | None = None,
    confirmed: Confirmed | None = None,
) -> FoldReport:
    """Bring the store up to what the journals below `journals_dir` say, by default the journals of its own place.

    A journal is deleted when its writer has gone and every sink that its header names has confirmed it. The store
    speaks for itself, under the name "store"; for others `confirmed` is asked, with the journal's id and the sink's
    name, and without it they have not. If the database may not be written, is locked for long or it is another host's
    turn, the store becomes a private copy for this process, `Store.unwritable` says why, and all is folded into that.
    `progress` is told the bytes folded so far and the bytes there are. Raises `StoreError`.
    """
    if journals_dir is None:
        if store.place is None:
            raise ConfigurationError("this store has no journals of its own: say where they lie")
        journals_dir = store.place.journals
    report = FoldReport()
    if not _anything_in(journals_dir) and store.writable:
        return report
    from autotrack.store.folding import Folding

    return Folding(store, journals_dir, blobs_dir, report, progress).run(delete=delete, confirmed=confirmed)


def _anything_in(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
