"""An artifact that stands for an earlier one of its name takes that one's place among the versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from autotrack import events
from autotrack.journal import blobs
from autotrack.place import Place

Recordings = Callable[..., Any]


def versions(contents: Any) -> list[tuple[bool, str, str | None]]:
    """Of each version, in order: whether it is stored, its digest, and the reason in its meta."""
    rows = contents.rows("artifacts", "r")
    return [(row["stored"], row["digest"], json.loads(row["meta"]).get("reason")) for row in rows]


@pytest.mark.parametrize("folds", [False, True], ids=["in one batch", "batch by batch"])
def test_a_checkpoint_is_one_version_from_waiting_to_its_deletion(
    recording: Recordings, contents: Any, here: Place, folds: bool
) -> None:
    """Waiting, copied, deleted: it stays one row whenever it is folded, and the next version comes after it."""
    journal = recording()
    journal.start("r")

    def emit(digest: str, stored: bool, **fields: Any) -> None:
        about = {"name": "checkpoints/last.ckpt", "kind": "checkpoint", "size": 1}
        journal.emit(events.Artifact, "r", digest=digest, stored=stored, **about, **fields)
        if folds:
            contents.fold()

    first, second = (blobs.put_bytes(here.blobs, data) for data in (b"1", b"2"))
    emit("", False, meta={"reason": "waiting"})
    begun = journal.moment
    emit(first, True, replaces=begun)
    emit("", False, meta={"reason": "waiting"})
    emit(second, True, replaces=journal.moment)
    emit(first, False, replaces=begun, meta={"reason": "the second took its place"})
    assert versions(contents.fold()) == [(False, first, "the second took its place"), (True, second, None)]


def test_bytes_that_were_deleted_before_the_first_fold_are_no_loss(recording: Recordings, contents: Any) -> None:
    """The capture report has no line about them, and the record does not call them stored."""
    journal = recording()
    journal.start("r")
    journal.emit(events.Artifact, "r", name="checkpoints/e0", kind="checkpoint", digest="0" * 64, size=1)
    assert versions(contents.fold()) == [(False, "0" * 64, "the bytes are not there any more")]
    assert contents.rows("reports", "r") == []


def test_one_that_stands_for_nothing_known_is_kept_all_the_same(recording: Recordings, contents: Any) -> None:
    """Nothing that was recorded is dropped."""
    journal = recording()
    journal.start("r")
    journal.emit(events.Artifact, "r", name="a", digest="", size=1, stored=False, replaces=12.0)
    assert versions(contents.fold()) == [(False, "", None)]
