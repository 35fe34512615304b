"""Optuna: a study is a run, its trials are children of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sklearn.linear_model import LogisticRegression

import autotrack

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(autouse=True)
def autolog() -> Iterator[None]:
    """Autolog for Optuna and scikit-learn, as far as a test lasts."""
    autotrack.autolog("optuna", "sklearn")
    yield
    autotrack.autolog(disable=True)


def study(**options: object) -> object:
    """A seeded study in memory."""
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **options)


def objective(trial: object) -> float:
    """A parabola, reported twice on the way."""
    x = trial.suggest_float("x", -2, 2)
    for step in range(2):
        trial.report(x**2 + 1 - step, step)
    if x > 0.5:
        raise optuna.TrialPruned
    return x**2


def test_a_study_is_a_run_and_its_trials_are_children() -> None:
    """Parameters, values on the way, the outcome; the best on the study."""
    parabola = study(study_name="parabola")
    parabola.optimize(objective, n_trials=6)
    (search,) = autotrack.runs()
    assert (search.kind, search.status) == ("search", "finished")
    assert search.name.startswith("parabola")
    assert (search.params["n_trials"], search.params["directions"]) == (6, ["minimize"])
    assert search.params["best_params.x"] == parabola.best_params["x"]
    assert search.metrics["best_score"].last == parabola.best_value
    trials = {run.name: run for run in search.children()}
    assert len(trials) == 6
    for trial in parabola.trials:
        run = trials[f"trial-{trial.number}"]
        assert (run.kind, run.status, run.params["x"]) == ("trial", "finished", trial.params["x"])
        assert run.history("objective.reported")["value"].tolist() == list(trial.intermediate_values.values())
        assert run.metrics["objective.reported"].last_step == 1
        results = [run.metrics["objective"].last] if "objective" in run.metrics else []
        assert results == ([trial.value] if trial.state.name == "COMPLETE" else [])
        assert ("pruned" in run.tags) == (trial.state.name == "PRUNED")
    assert any("pruned" in run.tags for run in trials.values())


def test_what_is_trained_inside_belongs_to_the_trial() -> None:
    """A fit in an objective is part of the trial's row, not a run beside it."""
    from sklearn.linear_model import LogisticRegression

    def fits(trial: object) -> float:
        model = LogisticRegression(C=trial.suggest_float("C", 0.1, 1.0)).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        return float(model.score([[0.0], [3.0]], [0, 1]))

    study(direction="maximize").optimize(fits, n_trials=2)
    (search,) = autotrack.runs()
    trials = list(search.children())
    assert [run.kind for run in trials] == ["trial", "trial"]
    assert all(run.params["model.class"] == "LogisticRegression" for run in trials)
    assert len(list(autotrack.runs(all=True))) == 3


def test_what_a_trial_was_given_is_not_hidden_by_the_estimators_params() -> None:
    """A name that both have is the trial's, whichever came first; the estimator's stands below its own name."""

    def exponent(trial: object) -> float:
        given = trial.suggest_int("C", -3, 2)
        LogisticRegression(C=10.0**given).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        return trial.suggest_float("tol", 0, 1)

    made = study()
    made.optimize(exponent, n_trials=2)
    (search,) = autotrack.runs()
    for trial, run in zip(made.trials, sorted(search.children(), key=lambda run: run.name), strict=True):
        assert (run.params["C"], run.params["tol"]) == (trial.params["C"], trial.params["tol"])
        assert run.params["logisticregression.C"] == 10.0 ** trial.params["C"]
        assert run.params["logisticregression.tol"] == 1e-4
        assert run.params.origin("logisticregression.tol") == "default"


def test_a_failing_trial_and_a_failing_study() -> None:
    """The exception is the user's; the trial and the study have failed."""

    def fails(trial: object) -> float:
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        study().optimize(fails, n_trials=3)
    (search,) = autotrack.runs()
    assert search.status == "failed"
    assert [run.status for run in search.children()] == ["failed"]
    caught = study()
    caught.optimize(fails, n_trials=2, catch=(ZeroDivisionError,))
    newest = next(iter(autotrack.runs()))
    assert (newest.status, newest.metrics["trials/fail"].last) == ("finished", 2)


def test_ask_and_tell_and_several_objectives() -> None:
    """A loop of the user's own; values of several objectives have numbers."""
    pair = study(directions=["minimize", "maximize"])
    for _ in range(3):
        trial = pair.ask()
        x = trial.suggest_int("x", 0, 9)
        autotrack.log({"inside": float(x)})
        pair.tell(trial, (x, x))
    trials = [run for run in autotrack.runs(all=True) if run.kind == "trial"]
    assert len(trials) == 3
    assert all(run.metrics["objective.1"].last == run.params["x"] == run.metrics["inside"].last for run in trials)


def test_threads_have_trials_of_their_own() -> None:
    """`n_jobs=2`: every trial once, each with its own parameters."""
    threaded = study()
    threaded.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=8, n_jobs=2)
    (search,) = autotrack.runs()
    found = {run.name: run.params["x"] for run in search.children()}
    assert found == {f"trial-{trial.number}": trial.params["x"] for trial in threaded.trials}


def test_switched_off_it_leaves_no_trace() -> None:
    """After `disable=True` a study is as it was."""
    ask = optuna.Study.ask
    autotrack.autolog(disable=True)
    assert optuna.Study.ask is not ask
    study().optimize(objective, n_trials=1)
    assert list(autotrack.runs(all=True)) == []


def test_the_best_trial_is_the_one_with_the_best_result() -> None:
    """What a trial reported on its way is no result, and a trial that failed has none."""
    reports = {0: [9.0, 8.0], 1: [0.1, 0.2], 2: [5.0, 6.0], 3: [99.0]}

    def told(trial: object) -> float:
        x = trial.suggest_categorical("x", [0, 1, 2, 3])
        for step, value in enumerate(reports[x]):
            trial.report(value, step)
        return {0: 0.2, 1: 0.9, 2: 0.5, 3: float("nan")}[x]

    sampler = optuna.samplers.GridSampler({"x": [0, 1, 2, 3]}, seed=0)
    found = optuna.create_study(direction="maximize", sampler=sampler)
    found.optimize(told, n_trials=4)
    assert autotrack.best("objective", mode="max").params["x"] == found.best_params["x"] == 1
    failed = next(run for run in autotrack.runs(all=True) if run.params.get("x") == 3)
    assert failed.status == "failed"
    assert set(failed.metrics) == {"objective.reported"}


def test_of_two_objectives_the_whole_front_is_the_best() -> None:
    """No trial is the best one; a study without a name has a number."""
    plane = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=0))
    plane.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.params["x"]), n_trials=3)
    (search,) = autotrack.runs()
    assert search.name == "study-1"
    assert search.params["best_trials"] == [trial.number for trial in plane.best_trials]
    assert "best_trial" not in search.params
