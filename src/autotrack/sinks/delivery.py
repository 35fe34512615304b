"""Delivers journals to sinks in batches.

One process at a time delivers to a sink, under a lease; the others do not wait. The position up to which a sink has
confirmed a journal is noted under `<place>/delivery/<sink>/<journal>`, so that a journal can be deleted without asking
the sink again. After an error of a sink its caller tries again later; neither the run nor other sinks are affected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from autotrack._locks import FileLock
from autotrack.journal.blobs import BlobFolder
from autotrack.journal.confirmations import confirm, confirmed_position
from autotrack.journal.reader import JournalReader, journals
from autotrack.place import DELIVERY_LEASE, Place
from autotrack.sinks.base import Sink


@dataclass
class Delivered:
    """The result of one round for one sink: how many events it took, the ids of journals left behind, the error.

    `busy` is set if another process holds the lease, so that nothing was done.
    """

    sink: str
    events: int = 0
    behind: list[str] = field(default_factory=list)
    error: BaseException | None = None
    busy: bool = False


def deliver(
    place: Place, sink: Sink, *, stop: Callable[[], bool] = lambda: False, only: str | None = None
) -> Delivered:
    """Deliver all events that the sink has not confirmed yet, of all journals of the place or of `only` that one.

    `stop` is called between batches. An error of the sink ends the round and is returned in the result, not raised.
    """
    done = Delivered(sink.name)
    lease = FileLock(place.delivery(sink.name) / DELIVERY_LEASE)
    lease.path.parent.mkdir(parents=True, exist_ok=True)
    if not lease.acquire():
        done.busy = True
        return done
    with lease:
        for journal in journals(place.journals):
            if sink.name not in journal.header.sinks or (only is not None and journal.id != only):
                continue
            try:
                complete = _deliver_journal(place, journal, sink, done, stop)
            except Exception as error:  # noqa: BLE001 - a sink may fail in any way; it is tried again later
                done.error = error
                complete = False
            if not complete:
                done.behind.append(journal.id)
            if done.error is not None or stop():
                break
    return done


def _deliver_journal(
    place: Place, journal: JournalReader, sink: Sink, done: Delivered, stop: Callable[[], bool]
) -> bool:
    noted = confirmed_position(place, sink.name, journal.id)
    state = journal.state()
    if noted and not journal.read(noted, state=state, size=1):
        return True
    position = sink.position(journal.id)
    blobs = BlobFolder(place.blobs)
    while not stop():
        state = journal.state()
        batch = journal.read(position, state=state)
        if batch:
            sink.write(batch, blobs)
            position = batch.end
            done.events += len(batch.events)
        if batch or position != noted:
            confirm(place, sink.name, journal.id, position)
            noted = position
        if not batch:
            return True
    return False
