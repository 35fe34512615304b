"""Delivery in the background of a training process: sinks are opened, retried after growing pauses, and closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from autotrack._guard import report_failure
from autotrack.place import Place
from autotrack.sinks.base import Sink
from autotrack.sinks.delivery import deliver
from autotrack.sinks.opening import open_sink, sink_name

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
ROUND = 1.0


class Courier:
    """Delivers journals in the background of a training process to its sinks other than the store."""

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
        """Deliver once more, for at most `timeout` seconds; returns the names of the sinks that still lack events."""
        self._deadline = time.monotonic() + timeout
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        return self.behind if not self._thread.is_alive() else [sink_name(url) for url in self._urls]
