"""Sections that many runs of a process share stand in its journal once, and every reader gets them for every run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import autotrack
from autotrack.events import RunStarted, Section, SharedSections
from autotrack.exceptions import JournalError
from autotrack.journal import JournalWriter
from autotrack.journal.reader import JournalReader, journals
from autotrack.journal.records import load_segment, sections_in
from autotrack.recording.collector import collector


def section(run: str, name: str = "git", **data: object) -> Section:
    bare = Section(run=run, time=1.0, name=name, data=data)
    return msgspec.structs.replace(bare, digest=bare.content_digest())


def sections(reader: JournalReader, start: int = 0) -> list[tuple[str, str, dict[str, object], str | None]]:
    """Run, name, data and reason of each section that the reader gives from `start` on."""
    found = []
    while batch := reader.read(start):
        found += [each for each in batch.events if isinstance(each, Section)]
        start = batch.end
    return [(each.run, each.name, each.data, each.unavailable) for each in found]


def test_a_later_run_gets_the_sections_that_an_earlier_one_brought(tmp_path: Path) -> None:
    """Read from the beginning, or by another reader that begins behind them."""
    writer = JournalWriter(tmp_path)
    first = section("a", commit="1f2e")
    writer.append(first)
    between = JournalReader(writer.folder).read().end
    writer.append(SharedSections(run="b", time=2.0, digests={"git": first.digest}))
    assert sections(JournalReader(writer.folder)) == [
        ("a", "git", {"commit": "1f2e"}, None),
        ("b", "git", {"commit": "1f2e"}, None),
    ]
    assert sections(JournalReader(writer.folder), between) == [("b", "git", {"commit": "1f2e"}, None)]


def test_the_search_for_a_section_goes_through_all_segments(tmp_path: Path) -> None:
    """Also where damage lies before it."""
    writer = JournalWriter(tmp_path)
    writer.append(section("a", filler="x" * 60_000))
    wanted = section("a", "packages", torch="2.1")
    writer.append(section("a", "hardware", filler="y" * 60_000))
    writer.append(wanted)
    segment = writer.folder / "00000000.seg"
    data = bytearray(segment.read_bytes())
    data[200] ^= 1
    segment.write_bytes(data)
    between = JournalReader(writer.folder).read().end
    writer.append(SharedSections(run="b", time=2.0, digests={"packages": wanted.digest}))
    assert sections(JournalReader(writer.folder), between) == [("b", "packages", {"torch": "2.1"}, None)]


def test_a_section_whose_record_is_damaged_is_named(tmp_path: Path) -> None:
    """The run does not read as if it had none."""
    writer = JournalWriter(tmp_path)
    first = section("a", commit="1f2e")
    writer.append(first)
    writer.append(SharedSections(run="b", time=2.0, digests={"git": first.digest}))
    segment = writer.folder / "00000000.seg"
    segment.write_bytes(segment.read_bytes().replace(b"1f2e", b"1f2f"))
    assert sections(JournalReader(writer.folder)) == [("b", "git", {}, "its record in the journal is damaged")]


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    """Neither the run nor the order of keys is part of it; everything else is."""
    one = Section(run="a", time=1.0, name="git", data={"commit": "1", "dirty": True})
    assert one.content_digest() == Section(**{**ALL, "data": {"dirty": True, "commit": "1"}}).content_digest()
    others = [{"name": "code"}, {"data": {"commit": 1, "dirty": True}}, {"masked": ["commit"]}, {"unavailable": ""}]
    assert len({one.content_digest(), *(Section(**{**ALL, **other}).content_digest() for other in others)}) == 5


ALL = {"run": "b", "time": 2.0, "name": "git", "data": {"commit": "1", "dirty": True}, "attempt": 2}


def test_runs_of_a_process_share_their_environment() -> None:
    """Each section stands in the journal once, and every run has all of them."""
    autotrack.configure(capture={"system": False})
    with autotrack.start_run("first"):
        pass
    owner = collector()
    assert not owner.background.wait(170)
    for name in ("second", "third"):
        with autotrack.start_run(name):
            pass
    assert owner.current_journal is not None
    folder = owner.current_journal.folder
    held = load_segment(folder / "00000000.seg", folder.name, 0, final=False, sealed=False)
    assert held is not None
    names = [each.name for each in sections_in(held)]
    assert len(names) == len(set(names)) >= 3
    environments = [run.environment for run in autotrack.runs()]
    assert environments[0].keys() == set(names)
    assert environments[0] == environments[1] == environments[2]


def test_a_journal_of_a_newer_version_waits_for_it(tmp_path: Path) -> None:
    """Nothing of it is taken for damage, and nothing is folded away before it can be understood."""
    writer = JournalWriter(tmp_path)
    writer.append(RunStarted(run="r", time=1.0, name="r", experiment="e"))
    header = writer.folder / "journal.json"
    header.write_bytes(header.read_bytes().replace(b'"schema":2', b'"schema":3'))
    with pytest.raises(JournalError, match="newer version"):
        JournalReader(writer.folder)
    assert list(journals(tmp_path)) == []
