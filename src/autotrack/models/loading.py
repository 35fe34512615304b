"""Loads saved models, after their files have been checked against the recorded digests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from autotrack.exceptions import IntegrityError, InvalidValueError, MissingDependencyError, NotFoundError
from autotrack.models.files import Content, Saved, below, digest_of, read
from autotrack.models.flavors import formats
from autotrack.models.saving import META

MLFLOW = "MLmodel"
_URI = "runs:/"


def load_model(
    source: Any,
    meta: Mapping[str, Any] | None = None,
    *,
    trust: bool = False,
    into: Any = None,
    get_record: Callable[[Any], Any] | None = None,
) -> Any:
    """Load the model that `source` names.

    `source` is a folder with a saved model, a mapping of its files, `"runs:/<run>/<name>"`, or a run or record that has
    one model; the last two need `get_record`. `meta` replaces the files' own `model.json`. `trust=True` allows
    formats that run code while loading. `into` is a module (or, for adapters, a base model) built by the program, into
    which the state is loaded; a dict receives a torch module's bare state.

    Raises `UntrustedModelError` for what needs trust, `IntegrityError` if a file is not what was saved,
    `NotFoundError` if there is no such model or the program's own class is missing, `InvalidValueError` if it cannot be
    built as asked, `MissingDependencyError` if its library is not installed.
    """
    files = _files(source, get_record)
    if meta is None and META in files:
        meta = json.loads(read(files[META]))
    if meta is None:
        if MLFLOW in files:
            return _from_mlflow(Saved(files, {}, _shown(source), trust))
        raise NotFoundError(f"{_shown(source)} holds no saved model: there is no {META}")
    _verify(files, meta, source)
    found = formats().get(meta["format"])
    if found is None:
        raise InvalidValueError(f"{_shown(source)} has the format {meta['format']!r}, which this autotrack cannot load")
    return found.read(Saved(files, meta, _shown(source), trust, into))


def _files(source: Any, get_record: Callable[[Any], Any] | None) -> Mapping[str, Content]:
    if isinstance(source, Mapping):
        return source
    if isinstance(source, (str, os.PathLike)) and not str(source).startswith(_URI):
        folder = Path(source)
        if not folder.is_dir():
            raise NotFoundError(f"there is no folder {folder}; a model of a run is called {_URI}<run>/<name>")
        return below(folder)
    if get_record is None:
        raise InvalidValueError(f"{_shown(source)} names no folder")
    return _recorded(source, get_record)


def _recorded(source: Any, get_record: Callable[[Any], Any]) -> dict[str, Content]:
    wanted = None
    record = source
    if isinstance(source, str):
        reference, _, wanted = source.removeprefix(_URI).partition("/")
        record = get_record(reference)
    elif not hasattr(source, "models"):
        record = get_record(source)
    models = {model.name: model for model in record.models}
    if not wanted:
        if len(models) != 1:
            raise NotFoundError(
                f"run {record.name} has {len(models)} models; name one of: {', '.join(models) or 'none'}"
            )
        wanted = next(iter(models))
    if wanted not in models:
        raise NotFoundError(f"run {record.name} has no model {wanted!r}, only: {', '.join(models) or 'none'}")
    return {file.name.removeprefix(f"{wanted}/"): file.path() for file in models[wanted].files}


def _verify(files: Mapping[str, Content], meta: Mapping[str, Any], source: Any) -> None:
    for name, digest in meta["files"].items():
        if name not in files:
            raise IntegrityError(f"{_shown(source)} lacks its file {name}")
        if digest_of(files[name]) != digest:
            raise IntegrityError(f"{name} of {_shown(source)} is not what was saved: its SHA-256 is not {digest}")


def _from_mlflow(saved: Saved) -> Any:
    """Load a model that MLflow stored, by MLflow's own flavor for it."""
    saved.refuse_untrusted("was stored by MLflow: loading it may run code")
    try:
        from mlflow.models import Model
    except ImportError as error:
        raise MissingDependencyError("mlflow", "mlflow", "loading a model that MLflow stored") from error
    with saved.on_disk(by_link=False) as folder:  # MLflow does not follow links
        flavors = [name for name in Model.load(folder).flavors if name != "python_function"]
        return import_module(f"mlflow.{flavors[0] if flavors else 'pyfunc'}").load_model(str(folder))


def _shown(source: Any) -> str:
    return f"the model {source!r}" if isinstance(source, (str, os.PathLike)) else "the model"
