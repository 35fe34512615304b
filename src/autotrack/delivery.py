"""From journals to sinks that live elsewhere: batches, cursors, retries; in the background or on request.

One process at a time delivers to a sink, under a lease; the others do not wait. What a sink has confirmed of each
journal is noted under `<place>/delivery/<sink>/<journal>`, so that a journal can be deleted without asking the sink
again. A sink that fails is tried again after a growing pause; nothing else notices.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autotrack._guard import report_failure
from autotrack._locks import FileLock
from autotrack.journal.reader import JournalReader, State, journals
from autotrack.settings import Place
from autotrack.sinks.base import Sink
from autotrack.sinks.opening import open_sink, sink_name

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
ROUND = 1.0


@dataclass
class Delivered:
    """What one round did for one sink: events taken, journals left behind, and why."""

    sink: str
    events: int = 0
    behind: list[str] = field(default_factory=list)
    error: BaseException | None = None
    busy: bool = False


def notes_folder(place: Place, name: str) -> Path:
    """Where is noted what the sink called `name` has confirmed."""
    return place.path / "delivery" / hashlib.sha256(name.encode()).hexdigest()[:16]


def confirmed_position(place: Place, name: str, journal: str) -> int:
    """How far the sink called `name` has confirmed a journal, as noted; 0 if nothing is."""
    try:
        return int((notes_folder(place, name) / journal).read_text())
    except (OSError, ValueError):
        return 0


def is_confirmed(place: Place, journal: JournalReader, name: str) -> bool:
    """Whether the sink called `name` has confirmed all of a journal whose writer is gone."""
    return not journal.read(confirmed_position(place, name, journal.id), state=State.DEAD)


def deliver(
    place: Place, sink: Sink, *, stop: Callable[[], bool] = lambda: False, only: str | None = None
) -> Delivered:
    """Hand the sink all that it has not confirmed yet, of all journals here or of `only` that one.

    Returns what happened; an error of the sink ends the round and is returned, not raised.
    """
    done = Delivered(sink.name)
    folder = notes_folder(place, sink.name)
    folder.mkdir(parents=True, exist_ok=True)
    lease = FileLock(folder / "lease")
    if not lease.acquire():
        done.busy = True
        return done
    with lease:
        for journal in journals(place.journals):
            if sink.name not in journal.header.sinks or (only is not None and journal.id != only):
                continue
            try:
                complete = _deliver_journal(place, journal, sink, folder, done, stop)
            except Exception as error:  # noqa: BLE001 - a sink may fail in any way; it is tried again later
                done.error = error
                complete = False
            if not complete:
                done.behind.append(journal.id)
            if done.error is not None or stop():
                break
    return done


def _deliver_journal(
    place: Place, journal: JournalReader, sink: Sink, folder: Path, done: Delivered, stop: Callable[[], bool]
) -> bool:
    noted = confirmed_position(place, sink.name, journal.id)
    state = journal.state()
    if noted and not journal.read(noted, state=state, size=1):
        return True
    position = sink.position(journal.id)
    while not stop():
        state = journal.state()
        batch = journal.read(position, state=state)
        if batch:
            sink.write(batch, place.blobs)
            position = batch.end
            done.events += len(batch.events)
        if batch or position != noted:
            fresh = folder / f"{journal.id}.new"
            fresh.write_text(str(position))
            os.replace(fresh, folder / journal.id)
            noted = position
        if not batch:
            return True
    return False


class Courier:
    """Delivers in the background of a training process to the sinks that live elsewhere."""

    def __init__(self, place: Place, urls: Sequence[str]) -> None:
        """Start a daemon thread; sinks are opened on it."""
        self._place = place
        self._urls = urls
        self._wake = threading.Event()
        self._stopping = False
        self._deadline = float("inf")
        self.behind: list[str] = [sink_name(url) for url in urls]
        self._thread = threading.Thread(target=self._work, name="autotrack-delivery", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        sinks: dict[str, Sink] = {}
        pauses: dict[str, float] = dict.fromkeys(self._urls, 0.0)
        due: dict[str, float] = dict.fromkeys(self._urls, 0.0)
        while True:
            last_round = self._stopping
            behind: list[str] = []
            for url in self._urls:
                if time.monotonic() < due[url] and not last_round:
                    behind.append(sink_name(url))
                    continue
                error = self._one_round(url, sinks)
                if error is not None:
                    behind.append(sink_name(url))
                    report_failure(f"delivery to {sink_name(url)}", error)
                    pauses[url] = min(max(2 * pauses[url], FIRST_PAUSE), LONGEST_PAUSE)
                    due[url] = time.monotonic() + pauses[url]
                else:
                    pauses[url] = 0.0
            self.behind = behind
            if last_round and (not behind or time.monotonic() > self._deadline):
                break
            self._wake.wait(ROUND)
            self._wake.clear()
        for sink in sinks.values():
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001 - closing a broken connection may fail in any way
                report_failure(f"closing {sink.name}", error)

    def _one_round(self, url: str, sinks: dict[str, Sink]) -> BaseException | None:
        try:
            sink = sinks.get(url) or sinks.setdefault(url, open_sink(url))
        except Exception as error:  # noqa: BLE001 - opening a sink may fail in any way
            return error
        return deliver(self._place, sink, stop=lambda: time.monotonic() > self._deadline).error

    def finish(self, timeout: float) -> list[str]:
        """One last round, at most `timeout` seconds; returns the names of the sinks that did not get everything."""
        self._deadline = time.monotonic() + timeout
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        return self.behind if not self._thread.is_alive() else [sink_name(url) for url in self._urls]
