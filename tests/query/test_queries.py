"""Finding runs: orders, top-level runs and their children, and what people call a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.dialects import postgresql

from autotrack.exceptions import FilterError, InvalidValueError, NotFoundError
from autotrack.query.comparisons import Context
from autotrack.query.filters import compile_filter, compile_order
from autotrack.query.queries import find_runs, get_record
from autotrack.store import schema

BOTH = pytest.mark.parametrize("seed", ["sqlite", "postgresql"], indirect=True)


def names(seed: Any, *args: Any, **options: Any) -> list[str]:
    """The names of the runs that are found, in their order."""
    return [record.name for record in find_runs(seed.store, *args, **options)]


@contextmanager
def statements(seed: Any) -> Iterator[list[tuple[str, Any]]]:
    """The SQL that goes to the database meanwhile, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters))

    event.listen(seed.store.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(seed.store.engine, "before_cursor_execute", note)


def plan(seed: Any, filter: str, **options: Any) -> list[str]:  # noqa: A002 - as in `find_runs`
    """How SQLite answers a query."""
    with statements(seed) as seen:
        find_runs(seed.store, filter, **options)
    statement, parameters = seen[-1]
    with seed.store.engine.connect() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def test_newest_first(seed: Any) -> None:
    """Without an order the newest run is first, and runs whose start was not seen are last."""
    seed("one")
    seed("unseen", started=None)
    seed("two")
    assert names(seed) == ["two", "one", "unseen"]
    assert names(seed, limit=1) == ["two"]
    assert names(seed, limit=0) == []
    with pytest.raises(InvalidValueError, match="-1"):
        find_runs(seed.store, limit=-1)


@BOTH
def test_orders(seed: Any) -> None:
    """Any field orders, several one after the other; what is missing or NaN is last, ties are newest first."""
    seed("a", params={"lr": 0.1, "x": "b"}, metrics={"val/acc": [0.5, 0.9, 0.2]}, duration=3.0)
    seed("b", params={"lr": 0.01, "x": 7}, metrics={"val/acc": [0.8]}, tags={"team": "z"}, duration=1.0)
    seed("c", params={"lr": 0.1, "x": "a"}, metrics={"val/acc": [0.1, float("nan")]}, duration=2.0)
    seed("d", params={"lr": 10}, facts={"git.branch": "main"}, duration=2.0)
    assert names(seed, order_by="-metrics.val/acc.max") == ["a", "b", "c", "d"]
    assert names(seed, order_by="metrics.val/acc.max") == ["c", "b", "a", "d"]
    assert names(seed, order_by="-metrics.val/acc") == ["b", "a", "d", "c"]
    assert names(seed, order_by="metrics.val/acc") == ["a", "b", "d", "c"]
    assert names(seed, order_by="params.lr") == ["b", "c", "a", "d"]
    assert names(seed, order_by="params.lr, run.started") == ["b", "a", "c", "d"]
    assert names(seed, order_by=["-params.lr", "duration desc"]) == ["d", "a", "c", "b"]
    assert names(seed, order_by="params.x") == ["b", "c", "a", "d"], "numbers before text"
    assert names(seed, order_by="-params.x") == ["b", "a", "c", "d"]
    assert names(seed, order_by="name asc") == ["a", "b", "c", "d"]
    assert names(seed, order_by="tags.team") == ["b", "d", "c", "a"]
    assert names(seed, order_by="git.branch, -run.name") == ["d", "c", "b", "a"]
    assert names(seed, order_by='-metrics."val/acc".min, name', limit=2) == ["b", "a"]


@pytest.mark.parametrize(
    ("order", "position", "words"),
    [
        ("lr", 0, "params.lr"),
        ("-metrics.a,, run.name", 11, "expected a field"),
        ("datasets.name", 0, "no order"),
        ("run.name, -", 10, "behind the sign"),
        ("run.name downwards", 9, "asc or desc"),
        ("-run.nam", 5, "did you mean 'name'"),
    ],
)
def test_orders_that_make_no_sense(seed: Any, order: str, position: int, words: str) -> None:
    """A wrong order is an error at its place, as a wrong filter is."""
    with pytest.raises(FilterError) as caught:
        find_runs(seed.store, order_by=order)
    assert (caught.value.position, words in caught.value.problem) == (position, True), caught.value.problem


def test_experiment(seed: Any) -> None:
    """An experiment, or several, narrow the list."""
    for experiment in ("digits", "iris", "wine"):
        seed(experiment, experiment=experiment)
    assert names(seed, experiment="iris") == ["iris"]
    assert names(seed, experiment=["iris", "wine"]) == ["wine", "iris"]
    assert names(seed, experiment="other") == []


@BOTH
def test_children_stay_below_their_parent(seed: Any) -> None:
    """Lists show top-level runs and how many children each has; asking for kinds or parents shows the rest."""
    search = seed("search", kind="search")
    trial = seed("trial", kind="trial", parent=search)
    seed("fold", kind="trial", parent=trial)
    seed("gone", kind="trial", parent=search, deleted=1)
    seed("alone")
    assert names(seed) == ["alone", "search"]
    assert [record.child_count for record in find_runs(seed.store)] == [0, 1]
    assert names(seed, all=True) == ["alone", "fold", "trial", "search"]
    assert names(seed, "run.kind = trial") == ["fold", "trial"]
    assert names(seed, f"run.parent = '{search}'") == ["trial"]
    assert names(seed, "name = trial") == []
    record = get_record(seed.store, "search")
    assert [child.name for child in record.children()] == ["trial"]
    assert record.children()[0].parent == search
    assert [child.name for child in record.children()[0].children()] == ["fold"]


def test_a_child_whose_parent_was_never_seen(seed: Any) -> None:
    """Nothing is lost from view because the journal of its parent is missing."""
    seed("orphan", parent="nobody")
    assert names(seed) == ["orphan"]


@BOTH
def test_a_job_with_one_training_is_one_row(seed: Any) -> None:
    """A launched command with a single training is listed as that training, with its params and metrics."""
    job = seed("train.py", kind="job")
    seed("logreg", kind="training", parent=job, params={"C": 1.0})
    assert names(seed) == names(seed, "params.C = 1") == ["logreg"]
    assert get_record(seed.store, "last").name == "logreg"
    seed("forest", kind="training", parent=job)
    assert names(seed) == ["train.py"], "with two it is a job with children"
    empty = seed("empty", kind="job")
    assert names(seed) == ["empty", "train.py"]
    inner = seed("inner", kind="job", parent=empty)
    seed("deep", kind="training", parent=inner)
    assert names(seed) == ["inner", "train.py"], "only one step down"


@BOTH
def test_deleted_runs_are_out_of_sight(seed: Any) -> None:
    """A deleted run is in no list but that of the deleted, nor are its children in any but the whole one."""
    parent = seed("parent", deleted=5)
    seed("child", parent=parent)
    job = seed("job", kind="job", deleted=5)
    seed("only", parent=job)
    assert names(seed) == []
    assert names(seed, deleted=True) == ["job", "parent"]
    assert names(seed, "name = parent", deleted=True) == ["parent"]
    assert names(seed, all=True) == ["only", "child"]
    with pytest.raises(NotFoundError):
        get_record(seed.store, "parent")
    assert get_record(seed.store, "parent", deleted=True).deleted is not None
    assert get_record(seed.store, parent).name == "parent"


REFERENCES = [("last~9", "only 4 runs"), ("aa", "several"), ("secnd", "second"), ("", "no run"), ("%", "no run")]


@BOTH
def test_references(seed: Any) -> None:
    """A run is found by its id, the beginning of it, its name, or by how long ago it was."""
    first = seed("first", id="aaaa1111")
    seed("second", id="aabb2222")
    seed("third", id="cccc3333")
    seed("aaaa1111", id="dddd4444")
    store = seed.store
    assert get_record(store, first).name == "first", "an id beats a name"
    assert get_record(store, "cc").name == "third"
    assert get_record(store, "second").id == "aabb2222"
    assert get_record(store, "last").id == "dddd4444"
    assert get_record(store, "last~0").id == "dddd4444"
    assert get_record(store, "last~2").name == "second"
    for reference, words in REFERENCES:
        with pytest.raises(NotFoundError, match=words):
            get_record(store, reference)
    with pytest.raises(NotFoundError, match="id 'first'"):
        get_record(store, "first", exact=True)


@BOTH
@pytest.mark.parametrize("ends", ["finished", "running", "failed", "killed"])
@pytest.mark.parametrize("child", ["finished", "failed"])
def test_a_job_that_ended_badly_is_not_hidden_by_its_child(seed: Any, ends: str, child: str) -> None:
    """What stands in the list says how it ended: the child does if it ended as its job, or the job ended well."""
    seed("job", id="j", kind="job", status=ends)
    seed("training", parent="j", kind="training", status=child)
    hides = ends in ("finished", "running") or ends == child
    assert [run.name for run in find_runs(seed.store)] == (["training"] if hides else ["job"])


def test_an_ambiguous_name_lists_the_candidates(seed: Any) -> None:
    """Whoever meant one of several gets all they need to choose."""
    ids = [seed("baseline", experiment=f"exp-{number}") for number in range(3)]
    with pytest.raises(NotFoundError) as caught:
        get_record(seed.store, "baseline")
    assert all(run_id in str(caught.value) for run_id in ids)
    assert "exp-2" in str(caught.value)


def test_last_in_an_empty_store(seed: Any) -> None:
    """Before the first run there is no last one."""
    with pytest.raises(NotFoundError, match="no runs yet"):
        get_record(seed.store, "last")


def test_every_value_is_a_parameter(seed: Any) -> None:
    """Nothing that somebody typed is part of the SQL."""
    with statements(seed) as seen:
        find_runs(
            seed.store,
            "params.\"k'1\" = 'v1' and metrics.k2 > 271828 and tags.k3 like 'v3%' and packages.k4 >= 31337"
            " and run.name in ('v5', v6) and datasets.name contains 'v7'",
            order_by="-metrics.k10.max",
            experiment="v11",
        )
    sql = " ".join(statement for statement, _ in seen)
    given = json.dumps([list(parameters) for _, parameters in seen])
    for word in ("k'1", "v1", "k2", "271828", "k3", "v3", "k4", "v5", "v6", "v7", "k10", "v11"):
        assert word not in sql
        assert word in given


def test_searches_use_the_indexes(seed: Any) -> None:
    """A search never scans params, metrics or facts: their indexes alone answer it."""
    seed("one", params={"lr": 1}, metrics={"acc": 1.0}, facts={"git.branch": "main"}, tags={"team": "x"})
    found = plan(seed, "params.lr > 0.01 and tags.team = x and git.branch = main", order_by="-metrics.acc.max")
    assert not [step for step in found if step.startswith("SCAN") and "parent" not in step and "runs" not in step]
    assert any("COVERING INDEX ix_params_key_number (key=? AND number>?)" in step for step in found)
    assert any("COVERING INDEX ix_tags_key_value (key=? AND value=?)" in step for step in found)
    assert any("INDEX ix_facts_key_text (key=? AND text=?)" in step for step in found)
    assert any("PRIMARY KEY (run_pk=? AND key=?)" in step for step in found), "the metric to sort by"
    equal = plan(seed, "metrics.acc = 0.5 and params.optimizer in (adam, sgd)")
    assert any("COVERING INDEX ix_metrics_key_last (key=? AND last=?)" in step for step in equal)
    assert any("COVERING INDEX ix_params_key_text (key=? AND text=?)" in step for step in equal)


def test_the_newest_runs_come_from_an_index(seed: Any) -> None:
    """The list that everybody sees first reads a few rows, however many runs there are."""
    seed("one")
    found = plan(seed, "", limit=10)
    assert any("INDEX ix_runs_started" in step for step in found)
    assert not any("TEMP B-TREE FOR ORDER BY" in step for step in found)


def test_lists_cost_the_same_number_of_queries(seed: Any) -> None:
    """However many runs are shown, each kind of fact is read once for all."""

    def look() -> int:
        with statements(seed) as seen:
            for record in find_runs(seed.store, "params.lr > 0", order_by="-metrics.acc"):
                assert (record.status, record.child_count, record.environment) == ("finished", 0, {})
                assert record.params["lr"] == record.metrics["acc"].last
                assert record.tags == {"team": "x"}
        return len(seen)

    def more(count: int) -> None:
        for number in range(1, count):
            seed(params={"lr": number}, metrics={"acc": float(number)}, tags={"team": "x"})

    more(3)
    few = look()
    more(40)
    assert look() == few == 6


def test_the_same_words_for_postgresql(seed: Any) -> None:
    """Filters and orders are spelled for the team's database too, which knows no GLOB."""
    context = Context("postgresql", 0, lambda query: ["2.10"])
    condition = compile_filter(
        "params.a like 'x%' and packages.torch >= 2.9 and run.status = crashed or notes.text contains 'y' "
        "or metrics.m = nan or run.duration > 5m or git.dirty = true",
        context,
    )
    assert condition is not None
    sql = str(condition.clause.compile(dialect=postgresql.dialect()))
    assert ("LIKE" in sql, "GLOB" in sql) == (True, False)
    order = compile_order("-metrics.a.max", context)
    assert "DESC NULLS LAST" in str(order.terms[0].compile(dialect=postgresql.dialect()))


def test_a_run_that_comes_back_to_life(seed: Any) -> None:
    """Crashed is only ever a way of looking: the next sign of life withdraws it."""
    seed.journal("j", "dead")
    seed("maybe", status="running", owner="j")
    assert get_record(seed.store, "maybe").status == "crashed"
    with seed.store.write() as connection:
        connection.execute(update(schema.journals).values(state="live"))
    assert get_record(seed.store, "maybe").status == "running"


@BOTH
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
def test_the_first_few_by_a_metric_are_those_of_the_whole_order(seed: Any, limit: int) -> None:
    """Also where fewer runs have the metric than are asked for; NaN and missing ones come last, the latest first."""
    for name, value in (("b", 2.0), ("a", 1.0), ("tie", 2.0), ("nan", math.nan), ("none", None)):
        seed(name, metrics={} if value is None else {"loss": value})
    for order in ("metrics.loss", "-metrics.loss", "metrics.loss, name", "-name, metrics.loss"):
        whole = [run.name for run in find_runs(seed.store, order_by=order)]
        assert [run.name for run in find_runs(seed.store, order_by=order, limit=limit)] == whole[:limit]
    assert [run.name for run in find_runs(seed.store, order_by="metrics.loss")] == ["a", "tie", "b", "none", "nan"]
