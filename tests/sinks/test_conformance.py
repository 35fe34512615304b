"""The sinks of autotrack itself pass the tests that ship for every sink."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from autotrack.events import AnyEvent, Artifact, Media
from autotrack.exceptions import ConfigurationError
from autotrack.sinks import Batch, BlobFolder, Sink
from autotrack.sinks.jsonl import JsonLinesSink
from autotrack.sinks.opening import open_sink, sink_name
from autotrack.testing import Arrived, MemorySink, SinkTestCase, arrivals

_memory: dict[Path, MemorySink] = {}


class TestMemorySink(SinkTestCase):
    """The sink that ships for tests."""

    def make_sink(self, folder: Path) -> Sink:
        return _memory.setdefault(folder, MemorySink())

    def events_in(self, sink: Sink) -> list[Arrived]:
        assert isinstance(sink, MemorySink)
        return arrivals(sink.events)

    def files_in(self, sink: Sink) -> dict[str, bytes] | None:
        assert isinstance(sink, MemorySink)
        named = {
            event.name if isinstance(event, Artifact) else event.key: event.digest
            for event in sink.events
            if isinstance(event, Artifact | Media)
        }
        return {name: sink.files[digest] for name, digest in named.items() if digest in sink.files}


class TestJsonLinesSink(SinkTestCase):
    """The folder of JSON lines."""

    def make_sink(self, folder: Path) -> Sink:
        return open_sink(f"jsonl://{folder}")

    def events_in(self, sink: Sink) -> list[Arrived]:
        assert isinstance(sink, JsonLinesSink)
        lines = [json.loads(line) for path in sink.folder.glob("*.jsonl") for line in path.read_text().splitlines()]
        found = arrivals(msgspec.convert(line, AnyEvent) for line in lines if line["event"] != "metrics")
        for line in lines:
            if line["event"] == "metrics":
                values = line["values"].items()
                found += [Arrived(line["run"], "metric", key, value, line["step"]) for key, value in values]
        return found

    def test_what_a_crash_left_is_cut_off(self, tmp_path: Path) -> None:
        """Half a line behind the last confirmed batch does not stay."""
        self.test_everything_arrives(tmp_path)
        (path,) = (tmp_path / "sink").glob("*.jsonl")
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"event": "half')
        sink = self.make_sink(tmp_path / "sink")
        (tmp_path / "more").mkdir()
        sink.write(Batch(path.stem, 0, 1 << 60), BlobFolder(tmp_path))
        assert path.read_bytes() == whole


def test_unknown_schemes_are_named() -> None:
    """With what there is, and without the credentials."""
    with pytest.raises(ConfigurationError, match="jsonl") as caught:
        open_sink("carrier-pigeon://me:secret@loft/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["jsonl://host/folder", "jsonl:"])
def test_a_folder_must_be_named(url: str) -> None:
    """A host is no folder."""
    with pytest.raises(ConfigurationError, match="folder"):
        open_sink(url)


def test_names_of_sinks_hold_no_credentials() -> None:
    """Neither user nor password nor query."""
    assert sink_name("postgresql://me:pw@db:5432/runs?sslkey=x") == "postgresql://db:5432/runs"
