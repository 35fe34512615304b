"""The runs that a query covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autotrack.store.engine import Store


class Selection:
    """Some runs of a store, by their keys `runs.pk`, in a fixed order."""

    def __init__(self, store: Store, pks: Sequence[int]) -> None:
        self.store = store
        self.pks = pks

    def __len__(self) -> int:
        return len(self.pks)
