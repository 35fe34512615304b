"""Loading a model again, after its bytes have been checked against their digests."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from autotrack.content import bytes_digest
from autotrack.exceptions import (
    IntegrityError,
    InvalidValueError,
    MissingDependencyError,
    NotFoundError,
    UntrustedModelError,
)
from autotrack.models.saving import META
from autotrack.models.skops_file import HARMLESS

MLFLOW = "MLmodel"
_URI = "runs:/"


def load_model(
    source: Any,
    meta: Mapping[str, Any] | None = None,
    *,
    trust: bool = False,
    get_record: Callable[[Any], Any] | None = None,
) -> Any:
    """Load the model that `source` names.

    `source` is a folder with a saved model, a mapping of its files, `"runs:/<run>/<name>"`, or a run or record that has
    one model; the last two need `get_record`. `meta` replaces the files' own `model.json`. `trust=True` allows
    formats that run code while loading.

    Raises `UntrustedModelError` for these otherwise, `IntegrityError` if a file is not what was saved,
    `NotFoundError` if there is no such model, `MissingDependencyError` if its library is not installed.
    """
    files = _files(source, get_record)
    if meta is None:
        if META not in files and MLFLOW in files:
            return _from_mlflow(files, source, trust)
        if META not in files:
            raise NotFoundError(f"{_shown(source)} holds no saved model: there is no {META}")
        meta = json.loads(files[META])
    _verify(files, meta, source)
    if meta["format"] == "skops":
        return _from_skops(files[meta["file"]], source, trust)
    if meta["format"] in {"pickle", "cloudpickle"}:
        return _from_pickle(files[meta["file"]], meta, source, trust)
    raise InvalidValueError(f"{_shown(source)} has the format {meta['format']!r}, which this autotrack cannot load")


def _files(source: Any, get_record: Callable[[Any], Any] | None) -> Mapping[str, bytes]:
    if isinstance(source, Mapping):
        return source
    if isinstance(source, (str, os.PathLike)) and not str(source).startswith(_URI):
        folder = Path(source)
        if not folder.is_dir():
            raise NotFoundError(f"there is no folder {folder}; a model of a run is called {_URI}<run>/<name>")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if get_record is None:
        raise InvalidValueError(f"{_shown(source)} names no folder")
    return _recorded(source, get_record)


def _recorded(source: Any, get_record: Callable[[Any], Any]) -> dict[str, bytes]:
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
    return {file.name.removeprefix(f"{wanted}/"): file.read() for file in models[wanted].files}


def _verify(files: Mapping[str, bytes], meta: Mapping[str, Any], source: Any) -> None:
    for name, digest in meta["files"].items():
        if name not in files:
            raise IntegrityError(f"{_shown(source)} lacks its file {name}")
        if bytes_digest(files[name]) != digest:
            raise IntegrityError(f"{name} of {_shown(source)} is not what was saved: its SHA-256 is not {digest}")


def _from_skops(data: bytes, source: Any, trust: bool) -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise MissingDependencyError("skops", "sklearn", "loading a model in the skops format") from error
    asked = set(skops.io.get_untrusted_types(data=data))
    if asked - set(HARMLESS) and not trust:
        raise UntrustedModelError(
            f"{_shown(source)} holds {', '.join(sorted(asked - set(HARMLESS)))}, whose code would run; "
            "if you know where it comes from, pass trust=True"
        )
    return skops.io.loads(data, trusted=sorted(asked))


def _from_pickle(data: bytes, meta: Mapping[str, Any], source: Any, trust: bool) -> Any:
    if not trust:
        raise UntrustedModelError(
            f"{_shown(source)} is a pickle of a {meta.get('class', 'model')}: loading it runs code; "
            "if you know where it comes from, pass trust=True"
        )
    import pickle

    return pickle.Unpickler(io.BytesIO(data)).load()


def _from_mlflow(files: Mapping[str, bytes], source: Any, trust: bool) -> Any:
    """A model as MLflow stores it: what its own flavor loads, which is what was logged."""
    if not trust:
        raise UntrustedModelError(
            f"{_shown(source)} was stored by MLflow: loading it may run code; "
            "if you know where it comes from, pass trust=True"
        )
    try:
        from mlflow.models import Model
    except ImportError as error:
        raise MissingDependencyError("mlflow", "mlflow", "loading a model that MLflow stored") from error
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            target = Path(folder, name)
            if not target.resolve().is_relative_to(Path(folder).resolve()):
                raise IntegrityError(f"{_shown(source)} has a file outside its folder: {name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        flavors = [name for name in Model.load(folder).flavors if name != "python_function"]
        return import_module(f"mlflow.{flavors[0] if flavors else 'pyfunc'}").load_model(folder)


def _shown(source: Any) -> str:
    return f"the model {source!r}" if isinstance(source, (str, os.PathLike)) else "the model"
