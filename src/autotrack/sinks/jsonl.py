"""A folder of JSON lines: every event as one line, a file per journal.

`jsonl:///absolute/folder` or `jsonl:relative/folder`. A line is the event as recorded, tagged by "event"; metric
rows are lines of {"event": "metrics", "run", "training", "step", "time", "values"}. NaN and infinities are written
as the strings "NaN", "Infinity" and "-Infinity", since JSON has none.

The position up to which a journal was written, and the size of its file then, are kept beside it; lines that a crash
left behind that size are cut off before the next one is written. So the folder holds every event exactly once.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from autotrack.events import Event, MetricRows
from autotrack.exceptions import ConfigurationError
from autotrack.journal.reader import Batch
from autotrack.sinks.base import BlobReader, Sink
from autotrack.sinks.opening import sink_name


class _Mark(msgspec.Struct, frozen=True):
    position: int
    size: int


class JsonLinesSink(Sink):
    """Writes events as JSON lines into a folder."""

    def __init__(self, url: str) -> None:
        """`url` names the folder, which is created with the first batch."""
        path = unquote(urlsplit(url).path)
        if not path or urlsplit(url).netloc:
            raise ConfigurationError(f"sink {url!r}: name a folder, as in jsonl:///absolute/folder or jsonl:folder")
        self.folder = Path(path).expanduser()
        self.name = sink_name(url)

    def position(self, journal: str) -> int:
        return self._mark(journal).position

    def write(self, batch: Batch, blobs: BlobReader) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self._mark(batch.journal)
        if batch.end <= mark.position:
            return
        with open(self.folder / f"{batch.journal}.jsonl", "ab") as file:
            file.truncate(mark.size)
            file.seek(0, os.SEEK_END)
            for event in batch.events:
                file.writelines(_lines(event))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        fresh = self.folder / f"{batch.journal}.new"
        fresh.write_bytes(msgspec.json.encode(_Mark(batch.end, size)))
        os.replace(fresh, self.folder / f"{batch.journal}.position")

    def _mark(self, journal: str) -> _Mark:
        try:
            return msgspec.json.decode((self.folder / f"{journal}.position").read_bytes(), type=_Mark)
        except FileNotFoundError:
            return _Mark(0, 0)


def _lines(event: Event | MetricRows) -> Iterator[bytes]:
    if isinstance(event, MetricRows):
        frame = event.frame
        columns = [column.tolist() for column in event.values]
        rows = zip(event.steps.tolist(), event.times.tolist(), *columns, strict=True)
        for step, moment, *values in rows:
            line = {
                "event": "metrics", "run": frame.run, "training": frame.training, "step": step, "time": moment,
                "values": dict(zip(frame.keys, values, strict=True)),
            }  # fmt: skip
            yield _line(line)
    else:
        yield _line(msgspec.to_builtins(event))


def _line(data: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_without_nan(data), ensure_ascii=False)
    return text.encode(errors="surrogatepass") + b"\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return value
