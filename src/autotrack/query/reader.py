"""Looking at what was recorded: open the store, fold the journals that lie there, then answer.

Every read is the recovery path: what a killed process left in its journal is in the store before anybody gets an
answer.
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
    """A store that is up to date with its journals at each question."""

    def __init__(self, store: Store, place: Place, emit: Callable[[Event], None] | None = None) -> None:
        self.store = store
        self.place = place
        self._emit = emit
        self._process = os.getpid()

    def fold(self, progress: Callable[[int, int], None] | None = None) -> Any:
        """Bring the store up to date; returns what was done."""
        from autotrack.store.folding.fold import fold

        return fold(self.store, self.place.journals, self.place.blobs, progress=progress)

    def runs(self, filter: str = "", **options: Any) -> Runs:  # noqa: A002 - the word people use
        """The runs that match; see `autotrack.runs`."""
        from autotrack.query.queries import find_runs

        self.fold()
        return find_runs(self.store, filter, emit=self._emit, **options)

    def get(self, reference: str, *, exact: bool = False) -> Record:
        """One record by id, unique prefix, name, `last` or `last~n`; `exact` takes nothing but an id."""
        from autotrack.query.queries import get_record

        self.fold()
        return get_record(self.store, reference, exact=exact, emit=self._emit)

    @property
    def usable(self) -> bool:
        """Whether this process may use the reader: a forked child must not use its parent's connections."""
        return os.getpid() == self._process

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_reader(settings: Settings, place: Place, emit: Callable[[Event], None] | None = None) -> Reader:
    """A reader of the store that `settings` choose: the one at `place`, or `store`."""
    from autotrack.store.engine import open_store

    return Reader(open_store(place, settings.store), place, emit)
