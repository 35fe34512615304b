"""What a program logs to MLflow is recorded here as well, and MLflow keeps exactly what it keeps without us."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.exceptions import UntrustedModelError

SCRIPT = Path(__file__).with_name("mlflow_script.py")

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed"),
]


@pytest.fixture(scope="module")
def finished(run_twice: Callable[..., Path]) -> Path:
    """The folder in which the script ran twice at once: `with` autotrack, which recorded it, and `without`."""
    return run_twice(SCRIPT)


@pytest.fixture
def run(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A record by its name."""
    monkeypatch.setenv("AUTOTRACK_DIR", str(finished / ".autotrack"))
    return autotrack.get_run


def test_params_that_mlflow_forwards_early_are_not_taken(script: Callable[..., Any]) -> None:
    """Its autologging writes them in a thread of its own, maybe before the training has begun here."""
    script(
        """
        import mlflow
        import autotrack
        from mlflow.utils.autologging_utils.client import MlflowAutologgingQueueingClient
        from mlflow.utils.autologging_utils.safety import _AutologgingSessionManager

        autotrack.autolog()
        mlflow.set_tracking_uri("sqlite:///mlflow.db")
        import sklearn.linear_model
        with mlflow.start_run() as run:
            for framework in ("sklearn", "a framework that nobody here knows"):
                with _AutologgingSessionManager.start_session(framework):
                    client = MlflowAutologgingQueueingClient()
                    client.log_params(run.info.run_id, {f"{framework}.max_iter": 502})
                    client.flush(synchronous=True)
        assert len(mlflow.get_run(run.info.run_id).data.params) == 2
        """
    )
    params = autotrack.get_run("last").params
    assert "sklearn.max_iter" not in params
    assert params["a framework that nobody here knows.max_iter"] == "502"


def test_mlflow_keeps_what_it_keeps_without_us(finished: Path) -> None:
    """Runs, params, every point, tags, files and models in MLflow's own store are the same."""
    kept = [json.loads((finished / word / "kept.json").read_text()) for word in ("with", "without")]
    assert kept[0]["sweep"], "nothing was logged at all"
    for key in kept[1]:
        assert kept[0][key] == kept[1][key], key
    assert kept[0]["untouched"], "something of ours is left after autolog(disable=True)"


def test_the_tutorial_is_one_run_with_everything(run: Callable[[str], Any]) -> None:
    """Experiment, params, metric, tag and model that MLflow was told, and the fit that happened meanwhile."""
    (record,) = autotrack.runs(experiment="MLflow Quickstart")
    assert (record.status, record.child_count) == ("finished", 0)
    assert record.params["max_iter"] == 1000
    assert record.params["random_state"] == 8888
    assert record.params["model.class"] == "LogisticRegression"
    assert record.metrics["accuracy"].last == 1.0
    assert record.metrics["accuracy"].count == 1
    assert record.metrics["train/accuracy"].last == pytest.approx(0.975)
    assert record.tags["Training Info"] == "Basic LR model for iris data"
    model = record.models["iris_model"]
    files = {file.name.removeprefix("iris_model/") for file in model.files}
    assert {"MLmodel", "requirements.txt"} <= files
    assert model.meta["flavors"] == ["python_function", "sklearn"]
    assert "inputs" in model.meta["signature"]
    assert "X" in [dataset.name for dataset in record.datasets]


def test_a_model_that_mlflow_stored_can_be_loaded(run: Callable[[str], Any], finished: Path) -> None:
    """Its own flavor loads it, for those who trust it."""
    (record,) = autotrack.runs(experiment="MLflow Quickstart")
    with pytest.raises(UntrustedModelError, match="trust=True"):
        autotrack.load_model(f"runs:/{record.id}/iris_model")
    loaded = autotrack.load_model(f"runs:/{record.id}/iris_model", trust=True)
    assert type(loaded).__name__ == "LogisticRegression"
    assert loaded.get_params()["random_state"] == 8888


def test_everything_that_is_logged_in_a_run_arrives_once(run: Callable[[str], Any]) -> None:
    """Typed params, every point with its step, tags, files, pictures and tables, under the run's name."""
    record = run("rate-1")
    assert (record.status, record.experiment) == ("finished", "sweep")
    assert record.params["rate"] == 0.2
    loss = record.history("loss")
    assert list(loss["step"]) == [0, 1, 2, 3]
    assert list(loss["value"])[:3] == [1.0, 0.5, 1.0 / 3]
    assert loss["value"].isna().tolist() == [False, False, False, True]
    assert list(record.history("reward")["value"]) == [0.0, 1.0, 2.0]
    assert record.tags.items() >= {"team": "vision", "stage": "dev", "number": "1"}.items()
    assert record.artifacts["texts/report.txt"].text() == "all good"
    assert record.artifacts["plots/one.txt"].text() == "1"
    assert record.artifacts["texts/hello.txt"].text() == "hello"
    assert json.loads(record.artifacts["a.json"].text()) == {"a": [1, 2]}
    assert {media.key for media in record.media} == {"empty.png", "table.json"}
    assert len(record.artifacts) - sum(file.kind != "artifact" for file in record.artifacts) == 4


def test_nested_runs_are_children(run: Callable[[str], Any]) -> None:
    """A nested run of theirs is a child of ours."""
    (inner,) = run("rate-0").children()
    assert (inner.name, inner.metrics["inner"].last) == ("inner-0", 1.0)


def test_a_run_that_fails_is_failed_with_its_exception(run: Callable[[str], Any]) -> None:
    """What left the `with` block is recorded as the failure."""
    record = run("broken")
    assert (record.status, record.failure_type, record.failure_message) == ("failed", "ValueError", "no such luck")
    assert record.params["doomed"] is True


def test_the_client_alone_is_heard(run: Callable[[str], Any]) -> None:
    """What libraries log through a client of their own goes to a run of that name."""
    record = run("by-client")
    assert (record.status, record.experiment, record.params["p"]) == ("finished", "sweep", "x")
    history = record.history("m")
    assert list(history["step"]) == [7, 8]
    assert history["time"].iloc[0].timestamp() == 1_700_000_000


def test_inside_an_open_run_it_goes_there_and_a_second_one_becomes_a_child(run: Callable[[str], Any]) -> None:
    """The first run of theirs is part of the user's run; the params of the next do not replace its."""
    record = run("mine")
    assert (record.experiment, record.params["number"], record.tags["mlflow.name"]) == ("own", 0, "theirs-0")
    (second,) = record.children()
    assert (second.name, second.params["number"]) == ("theirs-1", 1)


def test_what_is_logged_after_a_fit_belongs_to_that_fit(run: Callable[[str], Any]) -> None:
    """A run that MLflow opens itself, because something is logged, opens none here."""
    found = [record for record in autotrack.runs(all=True) if record.params.get("max_iter") == 501]
    assert [record.kind for record in found] == ["training"]
    assert found[0].metrics["afterwards"].last == 0.75
    assert found[0].params["afterwards"] == "yes"


def test_mlflows_own_autologging_is_not_recorded_twice(run: Callable[[str], Any]) -> None:
    """Of a fit that is recorded here, what MLflow's autologging says is left to MLflow; the user's call is not."""
    record = run("auto")
    assert record.metrics["by_hand"].last == 1.0
    assert record.params["max_iter"] == 502
    assert "estimator_name" not in record.tags  # which MLflow writes in another thread, before the fit or beside it
    assert "training_score" not in record.metrics
    assert "training_accuracy_score" not in record.metrics


def test_what_mlflows_autologging_computes_is_no_evaluation(run: Callable[[str], Any]) -> None:
    """It scores the training data inside `fit`; only the program's two calls are evaluations."""
    metrics = run("auto").metrics
    assert metrics["eval/accuracy"].count == 2
    assert {name for name in metrics if name.startswith("eval/")} == {"eval/accuracy"}
    assert metrics["predict/latency_ms"].count == 1


def test_what_follows_the_switching_off_is_not_heard(run: Callable[[str], Any]) -> None:
    """After `autolog(disable=True)` nothing of ours is in the way."""
    assert "unheard" not in {record.name for record in autotrack.runs(all=True)}
    assert run("strict").metrics["password_strength"].last == 3
