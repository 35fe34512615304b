"""MLflow: records also what the program logs to MLflow, whose own records stay unchanged.

Calls are observed at `MlflowClient`, through which the functions of `mlflow` go as well, so each fact is seen once.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar

from autotrack.events import FinalStatus
from autotrack.integrations.base import Integration, Options
from autotrack.training import other_trackers
from autotrack.training.other_trackers import Heard, Returned, bound

STATUS: Mapping[str, FinalStatus] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
MODEL_FILE = "MLmodel"
SOURCE = "mlflow"
_AUTOLOGGED = {"pytorch": "lightning", "tensorflow": "keras"}  # our integrations that have other names than MLflow's

_inside: ContextVar[str] = ContextVar("autotrack_mlflow_call", default="")
_raw_params: ContextVar[Mapping[str, Any] | None] = ContextVar("autotrack_mlflow_params", default=None)
_model_name: ContextVar[str] = ContextVar("autotrack_mlflow_model", default="")


class MlflowIntegration(Integration):
    """Records runs, params, metrics, tags, artifacts and models that the program logs to MLflow."""

    watches: ClassVar[tuple[str, ...]] = ("mlflow",)
    distribution: ClassVar[str] = "mlflow"
    requires: ClassVar[str] = ">=2.0"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._runs: dict[str, Heard] = {}
        self._made: dict[str, tuple[Any, Mapping[str, str]]] = {}
        self._experiments: dict[str, str] = {}
        self._lock = threading.RLock()

    def install(self) -> None:
        """Patch the client, and the few functions with information that they do not pass to it."""
        from mlflow.models import Model
        from mlflow.tracking import MlflowClient, fluent

        facts = _Facts(self)
        for name in (
            "log_metric", "log_param", "set_tag", "log_batch", "log_artifact", "log_artifacts", "log_text", "log_dict",
            "log_figure", "log_image", "log_table", "log_model_artifacts", "set_terminated",
        ):  # fmt: skip
            self._method(MlflowClient, name, getattr(facts, f"_{name}", facts._taken_apart))
        for name in ("get_experiment", "get_experiment_by_name"):
            self._method(MlflowClient, name, self._on_experiment)
        self._method(MlflowClient, "create_run", self._on_made)
        self._method(fluent.ActiveRun, "__exit__", self._on_exit)
        self._method(Model, "log", _on_model)
        self._function(fluent.start_run, self._on_start)
        self._function(fluent.set_experiment, self._on_experiment)
        self._function(fluent.log_params, _on_params)
        self._function(getattr(fluent, "_get_or_start_run", None), _on_implicit)

    def uninstall(self) -> None:
        """Undo the patches; our runs that were opened for an MLflow run stay open until the program ends."""
        super().uninstall()
        self._runs.clear()
        self._made.clear()
        self._experiments.clear()

    def heard(self, run_id: str) -> Heard:
        """The recording of the MLflow run; begun now if the start of the run was not observed."""
        with self._lock:
            found = self._runs.get(run_id)
            if found is None:
                info, tags = self._made.pop(run_id, (None, {}))
                found = self._runs[run_id] = self._begun(run_id, info, tags)
            return found

    def started(self, run_id: str, info: Any, tags: Mapping[str, str], *, late: bool) -> None:
        """Record the start of an MLflow run.

        With `late` (opened by MLflow itself for a log call, or by a framework's logger) no run of ours is begun for it:
        its facts go where those of `autotrack.log` go at the time.
        """
        with self._lock:
            self._made.pop(run_id, None)
            if run_id not in self._runs:
                self._runs[run_id] = Heard(SOURCE) if late else self._begun(run_id, info, tags)

    def ended(self, run_id: str, status: str) -> None:
        """Record the end of an MLflow run."""
        heard = self._runs.get(run_id)
        if heard is not None:
            heard.finish(STATUS.get(status, "finished"))

    def _begun(self, run_id: str, info: Any, tags: Mapping[str, str] | None = None) -> Heard:
        options = self.options
        experiment = self._experiments.get(str(getattr(info, "experiment_id", "")))
        own = {key: value for key, value in (tags or {}).items() if not key.startswith("mlflow.")}
        return other_trackers.begin(
            SOURCE,
            name=options.name or getattr(info, "run_name", None) or None,
            experiment=options.experiment or (experiment if experiment != "Default" else None),
            tags={**(options.tags or {}), **own},
            facts={"mlflow.run_id": run_id},
        )

    def _method(self, owner: type, name: str, observer: Callable[..., Any]) -> None:
        key = f"mlflow.{owner.__name__}.{name}"
        if self.patches.method(owner, name, key):
            self.patches.observe(key, observer)

    def _function(self, function: Any, observer: Callable[..., Any]) -> None:
        if type(function) is FunctionType:
            key = f"mlflow.{function.__name__}"
            if self.patches.function(function, key):
                self.patches.observe(key, observer)

    def _on_start(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Returned:
        late = _inside.get() == "implicit" or other_trackers.is_forwarded("mlflow")
        given = bound(wrapped, None, args, kwargs)

        def begun(run: Any) -> None:
            self.started(run.info.run_id, run.info, given.get("tags") or {}, late=late)

        return Returned(begun)

    def _on_made(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> Returned:
        def made(run: Any) -> None:
            self._made[run.info.run_id] = run.info, dict(run.data.tags)

        return Returned(made)

    def _on_experiment(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Returned:
        def found(experiment: Any) -> None:
            if experiment is not None:
                self._experiments[str(experiment.experiment_id)] = experiment.name

        return Returned(found)

    def _on_exit(self, wrapped: Any, run: Any, args: Any, kwargs: Any) -> None:
        error = bound(wrapped, run, args, kwargs).get("exc_val")
        if error is not None and run.info.run_id in self._runs:
            self._runs[run.info.run_id].failing(error)


class _Facts:
    """Observers of the client's logging calls; nested calls repeat the outer one's facts and are ignored."""

    def __init__(self, owner: MlflowIntegration) -> None:
        self._owner = owner

    def _taken_apart(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> _Inside | None:
        if _inside.get() in ("file", "model"):
            return None
        given = bound(wrapped, client, args, kwargs)
        return None if _is_forwarded() else self._take(wrapped.__name__, given)

    def _take(self, name: str, given: Mapping[str, Any]) -> _Inside | None:
        heard = self._owner.heard(given["run_id"])
        if name == "log_metric":
            heard.metrics({given["key"]: given["value"]}, given["step"] or 0, _seconds(given["timestamp"]))
        elif name == "log_param":
            heard.params({given["key"]: given["value"]})
        elif name == "set_tag":
            heard.tags(_own({given["key"]: given["value"]}))
        elif name == "log_batch":
            self._batch(heard, given)
        else:
            _FILES[name](heard, given)
            return _Inside("file")
        return None

    def _batch(self, heard: Heard, given: Mapping[str, Any]) -> None:
        points = {(point.key, point.step, point.timestamp): point.value for point in given["metrics"] or ()}
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        for (key, step, timestamp), value in points.items():
            rows.setdefault((step, timestamp), {})[key] = value
        for (step, timestamp), values in rows.items():
            heard.metrics(values, step, _seconds(timestamp))
        raw = _raw_params.get()
        heard.params({param.key: param.value for param in given["params"] or ()} if raw is None else raw)
        heard.tags(_own({tag.key: tag.value for tag in given["tags"] or ()}))

    def _log_model_artifacts(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> None:
        given = bound(wrapped, client, args, kwargs)
        if _model_name.get():
            _take_model(self._owner, given["local_dir"])

    def _log_artifacts(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> _Inside | None:
        if _inside.get() == "model":  # MLflow 2 stores a model with this call
            given = bound(wrapped, client, args, kwargs)
            _take_model(self._owner, given["local_dir"], given["run_id"])
            return None
        return self._taken_apart(wrapped, client, args, kwargs)

    def _set_terminated(self, wrapped: Any, client: Any, args: Any, kwargs: Any) -> None:
        given = bound(wrapped, client, args, kwargs)
        self._owner.ended(given["run_id"], str(given.get("status") or "FINISHED"))


class _Inside:
    """Watch that sets context variables during a call, so that nested calls on the client are not recorded again."""

    def __init__(self, what: str, **values: tuple[ContextVar[Any], Any]) -> None:
        self._tokens = [(_inside, _inside.set(what))]
        self._tokens += [(variable, variable.set(value)) for variable, value in values.values()]

    def returned(self, result: Any) -> None:
        for variable, token in reversed(self._tokens):
            variable.reset(token)

    def raised(self, error: BaseException) -> None:
        self.returned(None)


def _on_params(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> _Inside:
    params = bound(wrapped, None, args, kwargs).get("params")
    return _Inside("params", raw=(_raw_params, params if isinstance(params, Mapping) else None))


def _on_implicit(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> _Inside:
    return _Inside("implicit")


def _on_model(wrapped: Any, kind: Any, args: Any, kwargs: Any) -> _Inside | None:
    if other_trackers.is_forwarded("mlflow"):
        return _Inside("model")
    given = bound(wrapped, kind, args, kwargs)
    name = given.get("name") or given.get("artifact_path") or "model"
    return _Inside("model", name=(_model_name, str(name)))


def _is_forwarded() -> bool:
    """Whether the observed call forwards facts of a training that is recorded here anyway.

    MLflow's autologging writes the params in a thread of its own, maybe before the training has begun here: so what
    counts is for which framework it does so, not only whether there is a training.
    """
    sessions = getattr(sys.modules.get("mlflow.utils.autologging_utils.safety"), "_AutologgingSessionManager", None)
    session = None if sessions is None else sessions.active_session()
    name = "" if session is None else session.integration
    return other_trackers.is_forwarded("mlflow", framework=_AUTOLOGGED.get(name, name))


def _take_model(owner: MlflowIntegration, folder: str | os.PathLike[str], run_id: str | None = None) -> None:
    """Record the model whose files are in `folder`, as MLflow stores them."""
    name = _model_name.get()
    if not name or not owner.options.log_models:
        return
    if run_id is None:
        active = sys.modules["mlflow"].active_run()
        run_id = None if active is None else active.info.run_id
    heard = Heard(SOURCE) if run_id is None else owner.heard(run_id)
    root = Path(folder)
    files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    heard.model(name, "mlflow", files, _described(files))


def _described(files: Mapping[str, Path]) -> dict[str, Any]:
    """Metadata of a model: signature and flavors from its `MLmodel` file, and its requirements."""
    from mlflow.models import Model

    meta: dict[str, Any] = {"format": "mlflow", "runs_code": True}
    if MODEL_FILE in files:
        said = Model.load(str(files[MODEL_FILE])).to_dict()
        meta["signature"] = said.get("signature")
        meta["flavors"] = sorted(said.get("flavors") or {})
    if "requirements.txt" in files:
        meta["requirements"] = files["requirements.txt"].read_text(encoding="utf-8").split("\n")
    return meta


def _own(tags: Mapping[str, Any]) -> dict[str, Any]:
    """The user's tags, without MLflow's own (`mlflow.…`)."""
    return {key: value for key, value in tags.items() if not key.startswith("mlflow.")}


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else float(milliseconds) / 1000


def _artifact(heard: Heard, given: Mapping[str, Any]) -> None:
    path, folder = Path(given["local_path"]), given.get("artifact_path")
    heard.file(path, f"{folder}/{path.name}" if folder else path.name)


def _artifacts(heard: Heard, given: Mapping[str, Any]) -> None:
    root, prefix = Path(given["local_dir"]), given.get("artifact_path")
    for path in sorted(root.rglob("*")):
        if path.is_file():
            name = path.relative_to(root).as_posix()
            heard.file(path, f"{prefix}/{name}" if prefix else name)


def _text(heard: Heard, given: Mapping[str, Any]) -> None:
    heard.content(given["text"].encode(errors="surrogatepass"), given["artifact_file"], "text/plain")


def _dict(heard: Heard, given: Mapping[str, Any]) -> None:
    import json

    text = json.dumps(given["dictionary"], indent=2, default=str)
    heard.content(text.encode(), given["artifact_file"], "application/json")


def _shown(heard: Heard, given: Mapping[str, Any]) -> None:
    """Record a figure, image or table under the name of its file, or its key."""
    name = given.get("artifact_file") or given.get("key")
    value = next(given[word] for word in ("figure", "image", "data") if word in given)
    heard.shown(str(name), value, given.get("step"))


_FILES: dict[str, Callable[[Heard, Mapping[str, Any]], None]] = {
    "log_artifact": _artifact, "log_artifacts": _artifacts, "log_text": _text, "log_dict": _dict,
    "log_figure": _shown, "log_image": _shown, "log_table": _shown,
}  # fmt: skip
