"""The store holds the same in the end, in whatever order and from whatever journals facts are folded."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from autotrack import events
from autotrack.journal import JournalWriter
from autotrack.place import Place, prepare
from autotrack.store import schema
from autotrack.store.chunks import decode_axis, decode_values
from autotrack.store.engine import Store, open_store
from autotrack.store.folding.fold import fold

Fact = tuple[str, int, str, int]  # its kind, the training it belongs to, a key, a value

FACTS = st.tuples(
    st.sampled_from(["param", "tag", "point", "points", "section", "start", "end", "child", "artifact"]),
    st.integers(0, 2), st.sampled_from("ab"), st.integers(0, 3),
)  # fmt: skip
OWNERS = {"start", "end", "section"}  # facts that only the process of the training records


def event_of(fact: Fact, at: int) -> events.Event:
    """The event that records `fact`."""
    kind, training, key, value = fact
    about: dict[str, Any] = {"run": "r", "time": 1e9 + at, "training": training}
    if kind in ("start", "end"):
        about["training"] = max(1, training)
        return (
            events.TrainingStarted(**about, name="M")
            if kind == "start"
            else events.TrainingFinished(**about, status="finished")
        )
    if kind == "param":
        return events.Params(**about, values={key: str(value)})
    if kind == "tag":
        return events.Tags(**about, values={key: str(value)})
    if kind == "section":
        return events.Section(**about, name=key, data={"v": value})
    if kind == "child":
        return events.RunStarted(**{**about, "run": f"c{at}", "parent": "r"}, name="c", experiment="e")
    return events.Artifact(**about, name=key, digest="", size=value, stored=False)


def write(journal: JournalWriter, fact: Fact, at: int) -> None:
    """Put `fact` into a journal."""
    kind, training, key, value = fact
    if kind not in ("point", "points"):
        journal.append(event_of(fact, at))
        return
    keys = (key,) if kind == "point" else (key, "z")
    packer = journal.packer(events.Frame(run="r", keys=keys, types="d" * len(keys), training=training))
    journal.append_row(packer, value, 1e9 + at, [float(value)] * len(keys))


def contents_of(store: Store) -> dict[str, Any]:
    """Everything that the store holds of each run, in no order and without its own keys."""
    found: dict[str, Any] = {}
    with store.engine.connect() as connection:
        runs = {row.pk: row for row in connection.execute(select(schema.runs))}
        for pk, run in runs.items():
            about = found[run.id] = {"parent": run.parent, "status": run.status, "experiment": run.experiment}
            members, sections = schema.environment_sections.c, schema.sections.c
            of_run = (members.environment_pk == run.environment) & (sections.pk == members.section_pk)
            held = select(sections.name, members.attempt, members.training, members.latest, sections.data).where(of_run)
            about["sections"] = sorted(map(str, connection.execute(held).all()))
            for table in (schema.params, schema.tags, schema.artifacts, schema.metrics):
                rows = connection.execute(select(table).where(table.c.run_pk == pk)).all()
                left_out = {"pk", "run_pk"} | ({"training"} if table is schema.metrics else set())
                about[table.name] = sorted(
                    str({key: value for key, value in row._mapping.items() if key not in left_out}) for row in rows
                )
            values, axes = schema.metric_values.c, schema.metric_axes.c
            chunks = select(values.key, axes.data.label("axis"), values.data).where(
                (values.run_pk == pk) & (axes.pk == values.axis_pk)
            )
            about["points"] = sorted(
                (time, key, step, value)
                for key, axis, data in connection.execute(chunks)
                for step, time, value in zip(*map(list, decode_axis(axis)), list(decode_values(data)), strict=True)
            )
    return found


def outcome(facts: Sequence[Fact], *, folds: set[int], second: Sequence[bool], owner_last: bool) -> dict[str, Any]:
    """What the store holds of facts from two journals, with folds before some, perhaps without the owner's journal."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "place", "a test")
        prepare(place)
        owner, other = JournalWriter(place.journals), JournalWriter(place.journals)
        away = place.path / "away"
        with open_store(place) as store:
            owner.append(events.RunStarted(run="r", time=1e9, name="r", experiment="e"))
            for index, fact in enumerate(facts):
                if index in folds:
                    if owner_last:
                        owner.folder.rename(away)
                    fold(store)
                    if owner_last:
                        away.rename(owner.folder)
                write(other if second[index] and fact[0] not in OWNERS else owner, fact, index + 1)
            fold(store)
            found = contents_of(store)
        for journal in (owner, other):
            journal.close()
        return found


@pytest.mark.timeout(600)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    facts=st.lists(FACTS, min_size=1, max_size=12),
    folds=st.sets(st.integers(0, 11)),
    second=st.lists(st.booleans(), min_size=12, max_size=12),
    owner_last=st.booleans(),
)
@example(  # the run's own value and its training's, folded between them
    facts=[("param", 0, "a", 0), ("tag", 0, "a", 0), ("param", 1, "a", 1), ("tag", 1, "a", 1), ("start", 2, "a", 0)],
    folds={2, 4},
    second=[False] * 12,
    owner_last=False,
)
@example(  # a point that moves, and another of the same metric that comes with the move
    facts=[("point", 1, "a", 3), ("tag", 2, "a", 1), ("points", 1, "a", 3), ("points", 0, "a", 1)],
    folds={1}, second=[True] + [False] * 11, owner_last=True,
)  # fmt: skip
def test_the_order_of_folding_does_not_matter(
    facts: list[Fact], folds: set[int], second: list[bool], owner_last: bool
) -> None:
    """Folded in any pieces and order, or at once from one journal: runs, trainings and all their facts are the same."""
    at_once = outcome(facts, folds=set(), second=[False] * 12, owner_last=False)
    assert outcome(facts, folds=folds, second=second, owner_last=owner_last) == at_once
