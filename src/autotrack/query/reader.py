"""Reading recorded runs: open the store, fold its journals, then answer queries.

Every read is the recovery path: the journal of a killed process is folded into the store before a query is answered.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotrack.place import Place
from autotrack.settings import Settings

if TYPE_CHECKING:
    from autotrack.events import Event
    from autotrack.query.records import Record, Runs
    from autotrack.store.engine import Store


class Reader:
    """A store that folds its journals before each query."""

    def __init__(self, store: Store, place: Place, emit: Callable[[Event], None] | None = None) -> None:
        self.store = store
        self.place = place
        self._emit = emit
        self._process = os.getpid()

    def fold(self, progress: Callable[[int, int], None] | None = None) -> Any:
        """Fold the journals into the store; returns the `FoldReport`."""
        from autotrack.store.folding.fold import fold

        return fold(self.store, self.place.journals, self.place.blobs, progress=progress)

    def runs(self, filter: str = "", **options: Any) -> Runs:  # noqa: A002 - the word people use
        """Fold, then find the runs that match; see `autotrack.runs`."""
        from autotrack.query.queries import find_runs

        self.fold()
        return find_runs(self.store, filter, emit=self._emit, **options)

    def get(self, reference: str, *, exact: bool = False) -> Record:
        """Fold, then find a record by id, unique prefix, name, `last` or `last~n`; with `exact` by id alone."""
        from autotrack.query.queries import get_record

        self.fold()
        return get_record(self.store, reference, exact=exact, emit=self._emit)

    @property
    def usable(self) -> bool:
        """Whether this process may use the reader: a forked child must not use its parent's connections."""
        return os.getpid() == self._process

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_reader(settings: Settings, place: Place, emit: Callable[[Event], None] | None = None) -> Reader:
    """Open a reader of the store at `settings.store` or, without that setting, in `place`."""
    from autotrack.store.engine import open_store

    return Reader(open_store(place, settings.store), place, emit)
