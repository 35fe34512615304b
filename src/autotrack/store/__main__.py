"""`python -m autotrack.store FOLDER`: fold one place, once, at low priority.

A training process starts this one when its journal has grown large. If another process holds the place's
`folding.lock`, this one exits at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from autotrack._locks import FileLock
from autotrack.place import Place
from autotrack.store.engine import open_store
from autotrack.store.folding.fold import fold


def main(folder: str) -> None:
    """Fold the journals of the place `folder` into its store."""
    place = Place(Path(folder), "named by its training")
    with FileLock(place.folding_lock) as lock:
        if not lock.acquire():
            return
        if hasattr(os, "nice"):
            os.nice(19)
        with open_store(place) as store:
            fold(store, place.journals, place.blobs, delete=False)


if __name__ == "__main__":
    main(sys.argv[1])
