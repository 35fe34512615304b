"""What programs do with MLflow, one after the other; at the end it writes down what MLflow kept of it.

Run with a folder for MLflow's data, and `with` or `without` autotrack.
"""

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path

import matplotlib
import matplotlib.figure
import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.entities import Metric, Param
from mlflow.models import infer_signature
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

import autotrack
from autotrack.recording.collector import collector

folder = Path(sys.argv[1])
if sys.argv[2] == "with":
    autotrack.autolog()
matplotlib.use("agg")
mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")

# The tutorial's script.
X, y = datasets.load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
params = {"solver": "lbfgs", "max_iter": 1000, "random_state": 8888}
mlflow.set_experiment("MLflow Quickstart")
with mlflow.start_run():
    mlflow.log_params(params)
    lr = LogisticRegression(**params)
    lr.fit(X_train, y_train)
    y_pred = lr.predict(X_test)
    accuracy = accuracy_score(y_test, y_pred)
    mlflow.log_metric("accuracy", accuracy)
    mlflow.set_tag("Training Info", "Basic LR model for iris data")
    signature = infer_signature(X_train, lr.predict(X_train))
    model_info = mlflow.sklearn.log_model(
        sk_model=lr, name="iris_model", signature=signature, input_example=X_train,
        pip_requirements=["scikit-learn"],  # else MLflow finds out in another process, as far as it gets in time
    )  # fmt: skip

# A loop of runs, with everything that can be logged.
mlflow.set_experiment("sweep")
(folder / "report.txt").write_text("all good")
(folder / "plots").mkdir()
(folder / "plots" / "one.txt").write_text("1")
for number, rate in enumerate([0.1, 0.2]):
    with mlflow.start_run(run_name=f"rate-{number}", tags={"team": "vision"}, description="by hand") as run:
        mlflow.log_param("rate", rate)
        for step in range(3):
            mlflow.log_metrics({"loss": 1.0 / (step + 1), "reward": np.float32(step)}, step=step)
        mlflow.log_metric("loss", float("nan"), step=3)
        mlflow.set_tags({"stage": "dev", "number": number})
        mlflow.log_artifact(str(folder / "report.txt"), "texts")
        mlflow.log_artifacts(str(folder / "plots"), "plots")
        mlflow.log_text("hello", "texts/hello.txt")
        mlflow.log_dict({"a": [1, 2]}, "a.json")
        figure = matplotlib.figure.Figure()
        mlflow.log_figure(figure, "empty.png")
        mlflow.log_table(pd.DataFrame({"a": [1, 2]}), "table.json")
        with mlflow.start_run(run_name=f"inner-{number}", nested=True):
            mlflow.log_metric("inner", 1.0)

# A run that fails, with the user's exception untouched.
error = ValueError("no such luck")
with suppress(ValueError), mlflow.start_run(run_name="broken"):
    mlflow.log_param("doomed", True)
    raise error
with mlflow.start_run(run_name="strict"):
    mlflow.log_param("once", 1)
    with suppress(mlflow.MlflowException):
        mlflow.log_param("once", 2)
    mlflow.log_metric("password_strength", 3)

# The client alone, as libraries use it.
client = mlflow.MlflowClient()
made = client.create_run(mlflow.get_experiment_by_name("sweep").experiment_id, run_name="by-client")
client.log_batch(made.info.run_id, metrics=[Metric("m", 0.5, 1_700_000_000_000, 7)], params=[Param("p", "x")])
client.log_metric(made.info.run_id, "m", 0.25, step=8)
client.set_terminated(made.info.run_id)

# Inside a run of autotrack.
if sys.argv[2] == "with":
    with autotrack.start_run("mine", experiment="own"):
        autotrack.log({"loss": 0.5}, step=0)
        for number in range(2):
            with mlflow.start_run(run_name=f"theirs-{number}"):
                mlflow.log_param("number", number)
                mlflow.log_metric("loss", 0.5, step=0)
else:
    for number in range(2):
        with mlflow.start_run(run_name=f"theirs-{number}"):
            mlflow.log_param("number", number)
            mlflow.log_metric("loss", 0.5, step=0)

# A fit, and then something logged with no run open: MLflow opens one and leaves it open.
LogisticRegression(max_iter=501).fit(X, y)
mlflow.log_metric("afterwards", 0.75)
mlflow.log_param("afterwards", "yes")

# MLflow's own autologging of a fit, and what the user logs beside it.
mlflow.end_run()
mlflow.sklearn.autolog(log_models=False, silent=True)
with mlflow.start_run(run_name="auto"):
    fitted = LogisticRegression(max_iter=502).fit(X[::2], y[::2])
    few = [1, 61, 121]
    accuracy_score(y[few], fitted.predict(X[few]))
    fitted.score(X[few], y[few])
    mlflow.log_metric("by_hand", 1.0)
mlflow.sklearn.autolog(disable=True)

# Switched off again: nothing is heard.
if sys.argv[2] == "with":
    autotrack.autolog(disable=True)
with mlflow.start_run(run_name="unheard"):
    mlflow.log_metric("unheard", 1.0)
theirs = Path(mlflow.__file__).parent
same = all(
    not hasattr(function, "__autotrack__") and Path(function.__code__.co_filename).is_relative_to(theirs)
    for function in (mlflow.log_params, mlflow.start_run, mlflow.MlflowClient.log_metric, mlflow.ActiveRun.__exit__)
)


def kept(run: mlflow.entities.Run) -> dict:
    """Everything that MLflow keeps of a run, but what differs from run to run."""
    id_ = run.info.run_id
    history = {key: [(m.step, repr(m.value)) for m in client.get_metric_history(id_, key)] for key in run.data.metrics}
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    root = folder / "no such folder"
    with suppress(mlflow.MlflowException):
        root = Path(client.download_artifacts(id_, ""))
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    texts = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in files if name.endswith(".txt")}
    timed = {"training_score"} & history.keys()
    return {
        "status": run.info.status, "params": run.data.params, "metrics": history, "tags": tags,
        "files": sorted(files), "texts": texts, "timed": sorted(timed),
    }  # fmt: skip


found = {}
for experiment in client.search_experiments():
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    found[experiment.name] = [kept(run) for run in runs]
models = client.search_logged_models([mlflow.get_experiment_by_name("MLflow Quickstart").experiment_id])
with suppress(Exception):
    loaded = mlflow.sklearn.load_model(model_info.model_uri)
    found["predictions"] = loaded.predict(X_test).tolist()
found["models"] = [model.name for model in models]
found["untouched"] = same
(folder / "kept.json").write_text(json.dumps(found))
if sys.argv[2] == "with":
    collector().background.wait(170)  # else the process may say at its end what it waits for
