"""The filter language, as people write it and as they get it wrong."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotrack.exceptions import FilterError, NotFoundError
from autotrack.query.queries import find_runs, get_record

NAN, INF = math.nan, math.inf

BOTH = pytest.mark.parametrize("seed", ["sqlite", "postgresql"], indirect=True)


def names(seed: Any, text: str, **options: Any) -> list[str]:
    """The names of the runs that match, oldest first."""
    return [record.name for record in find_runs(seed.store, text, order_by="run.started", **options)]


def problem(seed: Any, text: str) -> tuple[str, int | None]:
    """What is wrong with a filter, and where."""
    with pytest.raises(FilterError) as caught:
        find_runs(seed.store, text)
    return caught.value.problem, caught.value.position


@pytest.fixture
def shelf(seed: Any) -> Any:
    """Three runs with all that can be asked for."""
    seed(
        "adam",
        params={"lr": 0.1, "optimizer": "adam", "shuffle": True, "my key": 1, "layers": [64, 32], "model-name": "a.b"},
        metrics={"val/accuracy": [0.5, 0.95, 0.9], "train/loss_1": 0.25},
        tags={"team": "vision", "fold": "3"},
        facts={"process.python": "3.9.2", "hardware.gpu": "NVIDIA A100", "git.dirty": True, "packages.torch": "2.10.1"},
        rows={
            "datasets": [
                {"name": "digits", "role": "train", "version": "v1", "source": "", "digest": "aa", "meta": "{}"},
                {"name": "extra", "role": "test", "version": "", "source": "", "digest": "bb", "meta": "{}"},
            ],
            "notes": [{"time": 1, "text": "Try AGAIN with 100% of it", "user": "bob"}],
        },
    )
    seed(
        "sgd",
        params={"lr": 0.001, "optimizer": "SGD", "shuffle": False, "depth": None, "layers": "64"},
        metrics={"val/accuracy": [0.7, NAN], "train/loss_1": INF},
        tags={"team": "text"},
        facts={
            "process.python": "3.11.0",
            "git.dirty": False,
            "packages.torch": "2.9.0",
            "packages.scikit-learn": "1.5",
        },
        status="failed",
        failure_type="ValueError",
        duration=400.0,
        experiment="iris",
        user="bob",
    )
    seed("none", params={"lr": "auto", "big": 2**70, "flag": "true"}, duration=4000.0)
    return seed


PARAMS = [
    ("params.lr > 0.01", ["adam"]),
    ("params.lr>1e-4", ["adam", "sgd"]),
    ("params.lr = .1", ["adam"]),
    ("params.lr == 1_0e-2", ["adam"]),
    ("params.lr != 0.1", ["sgd", "none"]),
    ("params.lr <> 0.1", ["sgd", "none"]),
    ("not params.lr = 0.1", ["sgd", "none"]),
    ("params.lr = 'auto'", ["none"]),
    ('params.lr = "auto"', ["none"]),
    ("params.lr = auto", ["none"]),
    ("params.lr >= 'a'", ["none"]),
    ("params.lr in (0.1, 'auto', 7,)", ["adam", "none"]),
    ("params.lr NOT IN (0.1, 'auto')", ["sgd"]),
    ("params.big = 1180591620717411303424", ["none"]),
    ("params.big = 1180591620717411303425", []),
    ("params.big > 1e20", ["none"]),
    ("params.shuffle = true", ["adam"]),
    ("params.shuffle = FALSE", ["sgd"]),
    ("params.flag = true", []),
    ("params.flag = 'true'", ["none"]),
    ("params.depth = None", ["sgd"]),
    ("params.depth is null and params.shuffle is not null", ["adam", "sgd"]),
    ("params.layers = '[64, 32]'", ["adam"]),
    ('params."my key" = 1', ["adam"]),
    ("params.`my key` is not null", ["adam"]),
    ("params.model-name = a.b", ["adam"]),
    ("params.optimizer like 'a%'", ["adam"]),
    ("params.optimizer like 'sg_'", []),
    ("params.optimizer ilike 'sg_'", ["sgd"]),
    ("params.optimizer not like 'a%'", ["sgd"]),
    ("params.optimizer contains 'gd'", ["sgd"]),
]


@pytest.mark.parametrize(("text", "expected"), PARAMS)
def test_params(shelf: Any, text: str, expected: list[str]) -> None:
    """Params compare as what they are: numbers as numbers, text as text, true and null as themselves."""
    assert names(shelf, text) == expected


METRICS = [
    ("metrics.val/accuracy >= 0.9", ["adam"]),
    ("metrics.val/accuracy.max > 0.9", ["adam"]),
    ("metrics.val/accuracy.min < 0.6", ["adam"]),
    ("metrics.val/accuracy.first = 0.7", ["sgd"]),
    ("metrics.val/accuracy = nan", ["sgd"]),
    ("metrics.val/accuracy != 0.9", ["sgd"]),
    ("metrics.val/accuracy.last in (nan, 0.9)", ["adam", "sgd"]),
    ("metrics.val/accuracy not in (0.9, 1)", ["sgd"]),
    ("metrics.val/accuracy.count = 3", ["adam"]),
    ("metrics.val/accuracy is null", ["none"]),
    ("metrics.train/loss_1 = inf", ["sgd"]),
    ("metrics.train/loss_1 < inf", ["adam"]),
    ("metrics.train/loss_1 > '0.1'", ["adam", "sgd"]),
]


@pytest.mark.parametrize(("text", "expected"), METRICS)
def test_metrics(shelf: Any, text: str, expected: list[str]) -> None:
    """A metric is its last value, or an aggregate; NaN and infinities are values of their own."""
    assert names(shelf, text) == expected


OTHERS = [
    ("tags.team = vision", ["adam"]),
    ("tags.fold = 3", ["adam"]),
    ("tags.team is null", ["none"]),
    ("run.status = 'failed'", ["sgd"]),
    ("status != finished", ["sgd"]),
    ("name in ('adam', 'none')", ["adam", "none"]),
    ("run.experiment = iris or run.user = 'ann' and not name = none", ["adam", "sgd"]),
    ("(run.experiment = iris or run.user = 'ann') and not name = none", ["adam", "sgd"]),
    ("run.duration > 5m", ["sgd", "none"]),
    ("run.duration >= 1h", ["none"]),
    ("run.duration > 1h5m10.5s and duration < 2h", ["none"]),
    ("run.duration = 5", ["adam"]),
    ("run.failure = ValueError", ["sgd"]),
    ("run.attempt = 1 and run.parent is null and run.exit_code is null", ["adam", "sgd", "none"]),
    ("run.id like '%' and run.host = box", ["adam", "sgd", "none"]),
    ("env.python >= 3.10", ["sgd"]),
    ("env.python like '3.9%'", ["adam"]),
    ("env.gpu contains a100", ["adam"]),
    ("git.dirty = true", ["adam"]),
    ("packages.torch > 2.9", ["adam"]),
    ("packages.torch <= '2.9'", ["sgd"]),
    ("packages.scikit_learn is not null", ["sgd"]),
    ("datasets.name = digits and datasets.role = test", ["adam"]),
    ("datasets.version is not null", ["adam"]),
    ("datasets.name != digits", ["adam"]),
    ("not datasets.name = digits", ["sgd", "none"]),
    ("notes.text contains 'again'", ["adam"]),
    ("notes.text like '%100\\% of%'", ["adam"]),
    ("artifacts.name is null and models.flavor is null", ["adam", "sgd", "none"]),
    ("NOT NOT name = adam", ["adam"]),
    ("", ["adam", "sgd", "none"]),
    ("   ", ["adam", "sgd", "none"]),
]


@pytest.mark.parametrize(("text", "expected"), OTHERS)
def test_everything_else(shelf: Any, text: str, expected: list[str]) -> None:
    """Tags, the run itself, its environment, its data: each namespace answers."""
    assert names(shelf, text) == expected


@pytest.mark.parametrize("seed", ["postgresql"], indirect=True)
def test_the_same_in_postgresql(shelf: Any) -> None:
    """The team's database gives the same answers."""
    asked = [*PARAMS, *METRICS, *OTHERS]
    assert [(text, names(shelf, text)) for text, _ in asked] == asked


def test_aggregate_in_the_name(seed: Any) -> None:
    """A final .max is the aggregate; a metric that is really called so is quoted."""
    seed("plain", metrics={"load": [1.0, 5.0, 2.0]})
    seed("odd", metrics={"load.max": [7.0, 3.0]})
    seed("max", metrics={"max": 9.0})
    assert names(seed, "metrics.load.max = 5") == ["plain"]
    assert names(seed, 'metrics."load.max" = 3') == ["odd"]
    assert names(seed, 'metrics."load.max".max = 7') == ["odd"]
    assert names(seed, "metrics.load.max.max = 7") == ["odd"]
    assert names(seed, "metrics.max = 9") == ["max"]


def test_quotes_in_keys_and_values(seed: Any) -> None:
    """A quote inside quotes is doubled; nothing that is typed reaches the database as SQL."""
    seed("quoted", params={'a "b" c': "it's", "x` y": 'say "hi"', "(o=o)": "'); DROP TABLE runs; --"})
    assert names(seed, """params."a ""b"" c" = 'it''s'""") == ["quoted"]
    assert names(seed, '''params.`x`` y` = "say ""hi"""''') == ["quoted"]
    assert names(seed, """params."(o=o)" = '''); DROP TABLE runs; --'""") == ["quoted"]


@BOTH
def test_text_longer_than_the_index(seed: Any) -> None:
    """Long text is equal only if all of it is."""
    seed("long", params={"prompt": "ü" * 600 + "end"})
    assert names(seed, f"params.prompt = '{'ü' * 600}end'") == ["long"]
    assert names(seed, f"params.prompt = '{'ü' * 600}fin'") == []
    assert names(seed, f"params.prompt != '{'ü' * 600}fin'") == ["long"]


def test_times(seed: Any) -> None:
    """Starts compare with dates, times, zones, and with a while ago."""
    now = time.time_ns() // 1000
    seed("old", started=1_700_000_000_000_000)  # 2023-11-14 22:13:20 UTC
    seed("now", started=now - 60_000_000)
    seed("unseen", started=None, duration=None, status="running")
    assert names(seed, "run.started < '2023-11-15T00:00Z'") == ["old"]
    assert names(seed, "run.started = '2023-11-14T22:13:20Z'") == ["old"]
    assert names(seed, "run.started = '2023-11-14 22:13Z'") == ["old"]
    assert names(seed, "run.started = '2023-11-15 00:13+02:00'") == ["old"]
    assert names(seed, "run.started in ('2023-11-14T22:13:20.5Z', '2023-11-14 22:13:20.000Z')") == ["old"]
    assert names(seed, "run.started > -1h") == ["now"]
    assert names(seed, "run.started > -90s and run.started > '-1d'") == ["now"]
    assert names(seed, "run.started >= 1700000000 and run.started < 1700000001") == ["old"]
    assert names(seed, "run.started < 2024-01-01") == ["old"]
    assert names(seed, "run.started >= yesterday") == ["now"]
    assert names(seed, "run.started is null") == ["unseen"]
    assert names(seed, "not run.started < '2024-01-01'") == ["now", "unseen"]
    assert names(seed, "run.ended > -1d or run.ended is null") == ["now", "unseen"]


def test_local_dates_are_whole_days(seed: Any) -> None:
    """A date without a zone is the local day, from midnight to midnight."""
    moment = time.localtime(1_700_000_000)
    seed("then", started=1_700_000_000_000_000)
    day = time.strftime("%Y-%m-%d", moment)
    assert names(seed, f"run.started = '{day}'") == ["then"]
    assert names(seed, f"run.started = '{time.strftime('%Y-%m-%d %H:%M', moment)}'") == ["then"]
    assert names(seed, f"run.started != '{day}'") == []


@BOTH
def test_crashed_is_worked_out(seed: Any) -> None:
    """A run counts as crashed while it is running in a journal whose writer is known to be gone."""
    seed.journal("dead", "dead")
    seed.journal("live", "live")
    seed("lost", status="running", owner="dead", ended=None, duration=None)
    seed("alive", status="running", owner="live", ended=None, duration=None)
    seed("done", status="finished", owner="dead")
    assert names(seed, "run.status = 'crashed'") == ["lost"]
    assert names(seed, "run.status = running") == ["alive"]
    assert names(seed, "run.status in (crashed, finished)") == ["lost", "done"]
    assert names(seed, "run.duration = 5") == ["lost", "done"], "a crashed run lasted until its last sign of life"
    assert names(seed, "run.duration > 1h") == ["alive"]


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("lr > 0.01", 0, "params.lr"),
        ("params.lr > ", 12, "expected a value"),
        ("params.lr", 9, "expected a comparison"),
        ("params.lr = 1 params.x = 2", 14, "expected and or or"),
        ("params.lr = 1 && params.x = 2", 14, "did you mean 'and'"),
        ("(params.lr = 1", 14, "closing parenthesis"),
        ("params.lr = 1)", 13, "makes no sense"),
        ("params.lr = 'abc", 12, "never closed"),
        ("params.lr = and", 12, "expected a value"),
        ("params.lr = params.x", 12, "another field"),
        ("run.stats = 1", 4, "did you mean 'status'"),
        ("prams.lr = 1", 0, "did you mean params.lr"),
        ("param.lr = 1", 0, "did you mean params.lr"),
        ("foo.lr = 1", 0, "metrics.foo.lr"),
        ("metrics.loss > high", 15, "is a number"),
        ("metrics.loss like '1%'", 18, "is no text"),
        ("metrics.loss = null", 15, "is a number"),
        ("tags.fold > 3", 12, "quote the number"),
        ("tags.fold = null", 12, "is null"),
        ("run.started > soon", 14, "-7d"),
        ("run.started > '2026-13-01'", 14, "not a point in time"),
        ("run.duration > long", 15, "1h30m"),
        ("params.a > true", 11, "no order"),
        ("env.pyton = 3", 4, "did you mean 'python'"),
        ("datasets.nam = x", 9, "did you mean 'name'"),
        ("params. = 1", 7, "names nothing"),
        ("params.lr not 3", 14, "expected in"),
        ("not", 3, "expected a field"),
        ("params.x in ()", 13, "expected a value"),
        ("staus = failed", 0, "run.status"),
    ],
)
def test_errors_point_at_the_place(shelf: Any, text: str, position: int, words: str) -> None:
    """What makes no sense is shown with its place and, where there is one, a better word."""
    message, at = problem(shelf, text)
    assert (at, words in message) == (position, True), message


def test_an_error_shows_a_caret(seed: Any) -> None:
    """The message repeats the filter with a caret under the place."""
    with pytest.raises(FilterError) as caught:
        find_runs(seed.store, "params.a = 1 or metric = 2")
    assert str(caught.value).splitlines()[1:] == ["  params.a = 1 or metric = 2", "                  ^"]


@pytest.mark.parametrize("text", ["params.a = 'x\0y'", "params.a = 'x\udc80'"])
def test_characters_that_no_database_takes(seed: Any, text: str) -> None:
    """What cannot be stored cannot be asked for: an error, on any database."""
    assert "no character" in problem(seed, text)[0]
    with pytest.raises(NotFoundError):
        get_record(seed.store, text)


def test_a_filter_that_is_too_large(seed: Any) -> None:
    """Depth and size have a limit that is an error, never a crash; in (…) has none."""
    seed("it", params={"x": 7})
    assert names(seed, "not " * 2001 + "params.x = 7") == []
    assert names(seed, "(" * 3000 + "params.x = 7" + ")" * 3000) == ["it"]
    assert names(seed, " or ".join(f"params.x = {number}" for number in range(200))) == ["it"]
    assert names(seed, f"params.x in ({', '.join(map(str, range(5000)))})") == ["it"]
    assert "in (…)" in problem(seed, " or ".join(f"params.x = {number}" for number in range(1000)))[0]
    assert "values" in problem(seed, f"params.x in ({', '.join(map(str, range(20_000)))})")[0]
    nested = "params.x = 1"
    for number in range(24):
        if number == 12:
            assert names(seed, nested) == ["it"]
        nested = f"not (params.x = {number} {'and' if number % 2 else 'or'} ({nested}))"
    assert "nested" in problem(seed, nested)[0]


# The language once more, in Python: what a filter means is decided by one run's facts, without any database.

KEYS = ("a", "b/c", "d-1")
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.5, 1e-3, INF, NAN]),
    st.sampled_from(["", "adam", "Adam", "a%b", "a_b", "a*[b]?", "10", "0.5", "true", "null", "ünïcode", "it's"]),
)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -1.5, INF, -INF, NAN]))
STRINGS = st.sampled_from(["", "adam", "Adam", "a%b", "10", "0.5", "true", "ünïcode", "it's", "b"])
PATTERNS = st.sampled_from(["%", "a%", "%a%", "_dam", "a\\%b", "a*[b]?", "%[%", "ü%", "A_a_", ""])
RUN = st.fixed_dictionaries(
    {
        "params": st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
        "metrics": st.dictionaries(st.sampled_from(KEYS), st.lists(NUMBERS, min_size=1, max_size=3), max_size=2),
        "tags": st.dictionaries(st.sampled_from(KEYS), STRINGS, max_size=2),
    }
)


def written(value: Any) -> str:
    """A value as people write it in a filter."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def spelled(value: Any) -> str:
    """The text of a param: a string itself, else JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def alike(value: Any, asked: Any) -> bool:
    """Whether a param equals what was asked for."""
    if isinstance(asked, str):
        return spelled(value) == asked
    if asked is None or isinstance(asked, bool):
        return value is asked
    if isinstance(value, str) or value is None:
        return False
    return value == asked or (_is_nan(value) and _is_nan(asked))


def before(value: Any, asked: Any) -> int | None:
    """-1, 0 or 1 as a value compares with what was asked for; None where there is no order."""
    text = isinstance(asked, str)
    if value is None or isinstance(value, str) != text or _is_nan(value) or _is_nan(asked):
        return None
    if text:
        value, asked = value.encode(), asked.encode()
    return int(value > asked) - int(value < asked)


def fits(text: str, pattern: str) -> bool:
    """SQL's like, character by character."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(fits(text[skip:], pattern[1:]) for skip in range(len(text) + 1))
    if pattern[0] == "\\" and len(pattern) > 1:
        return text[:1] == pattern[1] and fits(text[1:], pattern[2:])
    return bool(text) and pattern[0] in ("_", text[0]) and fits(text[1:], pattern[1:])


ORDERS = {"<": {-1}, "<=": {-1, 0}, ">": {1}, ">=": {0, 1}}
_AGGREGATES = {
    "last": lambda points: points[-1],
    "first": lambda points: points[0],
    "min": lambda points: min((value for value in points if not _is_nan(value)), default=NAN),
    "max": lambda points: max((value for value in points if not _is_nan(value)), default=NAN),
    "count": len,
}


@st.composite
def comparisons(draw: Any) -> tuple[str, Any]:
    """A comparison: its text, and whether it holds for a run."""
    key = draw(st.sampled_from(KEYS))
    field, values, get = draw(
        st.sampled_from(
            [
                (
                    f"params.{key}",
                    st.one_of(NUMBERS, STRINGS, st.booleans(), st.none()),
                    lambda run: run["params"][key],
                ),
                (f'params."{key}"', st.one_of(NUMBERS, STRINGS), lambda run: run["params"][key]),
                (f"tags.{key}", STRINGS, lambda run: run["tags"][key]),
                *(
                    (f"metrics.{key}.{word}", NUMBERS, lambda run, of=of: of(run["metrics"][key]))
                    for word, of in _AGGREGATES.items()
                ),
            ]
        )
    )

    def there(test: Any) -> Any:
        def holds(run: Any) -> bool:
            try:
                value = get(run)
            except KeyError:
                return False
            return bool(test(value))

        return holds

    form = draw(st.sampled_from(["=", "!=", "in", "not in", "order", "null", "not null", "like", "not like"]))
    if form.endswith("like") and not field.startswith("metrics"):
        pattern = draw(PATTERNS)
        like = there(lambda value: fits(spelled(value), pattern) != form.startswith("not"))
        return f"{field} {form} {written(pattern)}", like
    if form.endswith("null"):
        missing = there(lambda value: value is not None)
        return (
            (f"{field} is not null", missing)
            if form == "not null"
            else (f"{field} is null", lambda run: not missing(run))
        )
    if form in ("in", "not in"):
        listed = draw(st.lists(values, min_size=1, max_size=3))
        text = f"{field} {form} ({', '.join(map(written, listed))})"
        return text, there(lambda value: any(alike(value, asked) for asked in listed) != form.startswith("not"))
    asked = draw(values)
    if form in ("=", "!="):
        return f"{field} {form} {written(asked)}", there(lambda value: alike(value, asked) != (form == "!="))
    if asked is None or isinstance(asked, bool):
        asked = 1
    sign = draw(st.sampled_from(sorted(ORDERS)))
    return f"{field} {sign} {written(asked)}", there(lambda value: before(value, asked) in ORDERS[sign])


FILTERS = st.recursive(
    comparisons(),
    lambda parts: st.one_of(
        st.tuples(parts, parts, st.booleans()).map(
            lambda it: (
                (f"({it[0][0]} AND {it[1][0]})", lambda run: it[0][1](run) and it[1][1](run))
                if it[2]
                else (f"({it[0][0]} or {it[1][0]})", lambda run: it[0][1](run) or it[1][1](run))
            )
        ),
        parts.map(lambda it: (f"not ({it[0]})", lambda run: not it[1](run))),
    ),
    max_leaves=6,
)


@BOTH
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(RUN, min_size=1, max_size=4), texts=st.lists(FILTERS, min_size=1, max_size=6))
def test_filters_mean_what_they_say(seed: Any, runs: list[Any], texts: list[Any]) -> None:
    """Whatever the filter, SQL finds the runs that the same filter in Python finds."""
    experiment = f"fuzz-{seed.count}"
    started = [seed(f"r{index}", experiment=experiment, **run) for index, run in enumerate(runs)]
    for text, holds in texts:
        expected = [f"r{index}" for index, run in enumerate(runs) if holds(run)]
        assert names(seed, text, experiment=experiment) == expected, text
    assert len(set(started)) == len(runs)


WORDS = [
    *("params.a", "metrics.b/c.max", "run.started", "run.status", "packages.x", "datasets.name", "params.", "x"),
    *("and", "or", "not", "in", "like", "is", "null", "nan", "true", "1e3", "-7d", "'x'", '"y"'),
    *("(", ")", ",", "=", "<=", "'", '"', "`", "\\", "%", "!", ".", ".."),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(WORDS),
        max_size=9,
    ).map(" ".join)
)
def test_nonsense_is_an_error_and_nothing_else(seed: Any, text: str) -> None:
    """Any text is either a filter or a `FilterError`, whose position lies within it."""
    caught = None
    try:
        find_runs(seed.store, text)
    except FilterError as error:
        caught = error
    assert caught is None or caught.position is None or 0 <= caught.position <= len(text)
