"""Our own sinks pass the tests that ship for everybody's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotrack.exceptions import ConfigurationError
from autotrack.sinks.base import Sink
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


class TestJsonLinesSink(SinkTestCase):
    """The folder of JSON lines."""

    def make_sink(self, folder: Path) -> Sink:
        return open_sink(f"jsonl://{folder}")

    def events_in(self, sink: Sink) -> list[Arrived]:
        assert isinstance(sink, JsonLinesSink)
        found: list[Arrived] = []
        for path in sink.folder.glob("*.jsonl"):
            for line in map(json.loads, path.read_text().splitlines()):
                kind, run = line["event"], line["run"]
                if kind == "run_started":
                    found.append(Arrived(run, "started", line["name"], line["experiment"]))
                elif kind == "run_finished":
                    found.append(Arrived(run, "finished", "", line["status"]))
                elif kind == "params":
                    found += [Arrived(run, "param", key, text) for key, text in line["values"].items()]
                elif kind == "metrics":
                    found += [Arrived(run, "metric", key, value, line["step"]) for key, value in line["values"].items()]
        return found

    def test_what_a_crash_left_is_cut_off(self, tmp_path: Path) -> None:
        """Half a line behind the last confirmed batch does not stay."""
        self.test_everything_arrives(tmp_path)
        (path,) = (tmp_path / "sink").glob("*.jsonl")
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"event": "half')
        sink = self.make_sink(tmp_path / "sink")
        (tmp_path / "more").mkdir()
        from autotrack.journal.reader import Batch

        sink.write(Batch(path.stem, 0, 1 << 60), tmp_path)
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
