"""A byte that changed in the store's metric history is noticed, told, and costs only its chunk."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from autotrack._guard import AutotrackWarning
from autotrack.exceptions import IntegrityError
from autotrack.query.queries import get_record
from autotrack.store import schema
from autotrack.store.chunks import decode_axis, decode_values, encode_axis, encode_values, kind_of
from autotrack.store.engine import Store

NUMBERS = np.random.default_rng(0).normal(size=100)
CHUNKS = {
    "floats": (encode_values(NUMBERS), decode_values),
    "ints": (encode_values((NUMBERS * 1e9).astype(np.int64)), decode_values),
    "axis": (encode_axis(np.arange(100), np.arange(100) ** 2), decode_axis),
}
Table = Any


@pytest.mark.parametrize("chunk", CHUNKS)
@given(place=st.integers(min_value=0), flip=st.integers(1, 255), cut=st.booleans())
def test_changed_bytes_are_never_numbers(chunk: str, place: int, flip: int, cut: bool) -> None:
    """Whichever byte changed and wherever the end is lost, decoding says so."""
    data, decode = CHUNKS[chunk]
    changed = bytearray(data)
    changed[place % len(data)] ^= flip
    with pytest.raises(IntegrityError):
        decode(bytes(data[: place % len(data)] if cut else changed))


def test_chunks_of_older_stores_have_no_checksum() -> None:
    """They are read as ever; of damage in them only what cannot be decoded is noticed."""
    old = [data[:1].lower() + data[1:-4] for data, _ in CHUNKS.values()]
    assert [zlib.crc32(data[:-4]) for data, _ in CHUNKS.values()] == [
        int.from_bytes(data[-4:], "little") for data, _ in CHUNKS.values()
    ]
    assert (decode_values(old[0]) == NUMBERS).all()
    assert decode_values(old[1]).dtype == np.int64
    assert (decode_axis(old[2])[1] == np.arange(100) ** 2).all()
    assert [kind_of(data) for data in (*old[:2], CHUNKS["floats"][0])] == ["d", "q", "d"]
    with pytest.raises(IntegrityError):
        decode_values(old[0][:-3])


def flip(store: Store, table: Table, row: int) -> None:
    """Change a byte in the middle of the data of a row, counted in the order of keys."""
    key = list(table.primary_key)
    with store.write() as connection:
        found = connection.execute(select(table).order_by(*key)).all()[row]
        data = bytearray(found.data)
        data[len(data) // 2] ^= 1
        same = [column == getattr(found, column.name) for column in key]
        connection.execute(update(table).where(*same).values(data=bytes(data)))


@pytest.fixture
def live(recording: Callable[..., Any], contents: Any) -> Any:
    """A journal whose run has chunks of ten points each of `loss` and `accuracy`, which are logged together."""
    journal = recording()
    journal.start("r")
    for part in range(3):
        for step in range(10 * part, 10 * part + 10):
            journal.log("r", {"loss": float(step), "accuracy": step / 100}, step=step)
        contents.fold()
    return journal


@pytest.mark.parametrize(
    ("table", "hurt"),
    [(schema.metric_values, {"loss"}), (schema.metric_axes, {"loss", "accuracy"})],
    ids=["values", "axis"],
)
def test_damage_is_told_and_read_around(live: Any, store: Store, table: Table, hurt: set[str]) -> None:
    """The chunk is left out with a warning that names the metric; all other points are there."""
    flip(store, table, -2 if table is schema.metric_values else 1)
    record = get_record(store, "r")
    with pytest.warns(AutotrackWarning, match="10 points cannot be read" if len(hurt) == 1 else "20 points"):
        history = record.history()
    for metric in ("loss", "accuracy"):
        steps = history[history["metric"] == metric]["step"].tolist()
        assert steps == ([*range(10), *range(20, 30)] if metric in hurt else list(range(30)))


def test_the_end_of_a_run_merges_around_damage(live: Any, store: Store, contents: Any) -> None:
    """Folding goes on: what is whole is merged, the damaged chunk stays for whoever may mend it."""
    flip(store, schema.metric_values, -2)
    live.finish("r")
    contents.fold()
    assert sorted(row["count"] for row in contents.rows("metric_axes", "r")) == [10, 20]
    with pytest.warns(AutotrackWarning, match="loss of run r"):
        assert len(get_record(store, "r").history("loss")) == 20
