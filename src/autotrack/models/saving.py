"""Turning a model into files, in the safest format that can hold it."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autotrack.content import bytes_digest, tree_digest
from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.models.pickling import pickle_bytes
from autotrack.models.requirements import requirements
from autotrack.models.signature import example_bytes, signature_of
from autotrack.models.skops_file import HARMLESS, Unwritable, skops_bytes

META = "model.json"
EXAMPLE = "input_example.json"
REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True)
class SavedModel:
    """A model as files by name, ready to be kept, and what is known about it.

    `meta` holds: `format` (skops, pickle, cloudpickle), `file` (which of `files` is the model), `class`, `signature`,
    `input_example` (the name of its file, or None), `requirements`, `python`, `runs_code` (whether loading it can
    run code), `untrusted` (types that loading asks trust for), `files` (the SHA-256 of each file but `model.json`,
    which holds all of this) and `digest` (one over these).
    """

    files: dict[str, bytes]
    flavor: str
    meta: dict[str, Any]


def save_model(
    model: Any,
    *,
    flavor: str | None = None,
    signature: Mapping[str, Any] | None = None,
    input_example: Any = None,
    allow_pickle: bool = False,
    limit: int | None = None,
    deadline: float | None = None,
) -> SavedModel:
    """Turn `model` into files.

    `flavor` ("sklearn", or "python" for anything else) is told from the model unless given. Of `input_example` the
    first five rows are kept; they also give the signature, unless there is one. A model that no safe format can
    hold needs `allow_pickle`, because loading a pickle runs code (`InvalidValueError` without it). `limit` (bytes) and
    `deadline` (of `time.thread_time()`) stop the work with `OverBudget`.
    """
    flavor = flavor or flavor_of(model)
    if flavor not in _WRITERS:
        raise InvalidValueError(f"there is no model flavor {flavor!r}; there are: {', '.join(sorted(_WRITERS))}")
    written = _WRITERS[flavor](model, allow_pickle, limit, deadline)
    files = {written.file: written.data}
    if signature is None and input_example is not None:
        signature = signature_of(input_example)
    example, why_not = example_bytes(input_example) if input_example is not None else (None, "")
    if example is not None:
        files[EXAMPLE] = example
    needs = requirements(_modules(model), flavor, written.format)
    files[REQUIREMENTS] = "".join(f"{line}\n" for line in needs).encode()
    digests = {name: bytes_digest(data) for name, data in files.items()}
    meta = {
        "flavor": flavor, "format": written.format, "file": written.file, "class": class_name(model),
        "signature": dict(signature) if signature is not None else None,
        "input_example": EXAMPLE if example is not None else None, "no_input_example": why_not,
        "requirements": needs, "python": platform.python_version(), "runs_code": written.runs_code,
        "untrusted": written.untrusted, "files": digests, "digest": tree_digest(digests.items()),
    }  # fmt: skip
    files[META] = json.dumps(meta, ensure_ascii=False, indent=1).encode()
    return SavedModel(files, flavor, meta)


def flavor_of(model: Any) -> str:
    """The flavor that fits the model, told from its class; imports nothing."""
    base = sys.modules.get("sklearn.base")
    if base is not None and isinstance(model, base.BaseEstimator):
        return "sklearn"
    return "python"


def class_name(model: Any) -> str:
    """The qualified name of the model's class."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


@dataclass(frozen=True)
class _Written:
    data: bytes
    file: str
    format: str
    runs_code: bool
    untrusted: tuple[str, ...] = ()


def _sklearn(model: Any, allow_pickle: bool, limit: int | None, deadline: float | None) -> _Written:
    try:
        return _Written(skops_bytes(model, limit=limit, deadline=deadline), "model.skops", "skops", runs_code=False)
    except Unwritable as error:
        if allow_pickle:
            return _python(model, allow_pickle, limit, deadline)
        return _by_skops(model, error)


def _by_skops(model: Any, problem: Unwritable) -> _Written:
    try:
        import skops.io
    except ImportError as error:
        purpose = f"keeping a {class_name(model)} (it has {problem}) without allow_pickle=True"
        raise MissingDependencyError("skops", "sklearn", purpose) from error
    try:
        data = skops.io.dumps(model)
        asked = skops.io.get_untrusted_types(data=data)
        skops.io.loads(data, trusted=asked)  # what is written by name only, such as a lambda, is not there again
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        raise InvalidValueError(
            f"a {class_name(model)} cannot be kept in a format that loads without running code ({error}); "
            "allow_pickle=True keeps it as a pickle"
        ) from error
    untrusted = tuple(sorted(set(asked) - set(HARMLESS)))
    return _Written(data, "model.skops", "skops", runs_code=bool(untrusted), untrusted=untrusted)


def _python(model: Any, allow_pickle: bool, limit: int | None, deadline: float | None) -> _Written:
    if not allow_pickle:
        raise InvalidValueError(
            f"a {class_name(model)} can only be kept as a pickle, which runs code when it is loaded: "
            "allow_pickle=True does that"
        )
    data, kind = pickle_bytes(model, limit=limit, deadline=deadline)
    return _Written(data, "model.pkl", kind, runs_code=True)


_WRITERS: dict[str, Callable[[Any, bool, int | None, float | None], _Written]] = {
    "sklearn": _sklearn,
    "python": _python,
}


def _modules(model: Any) -> Iterator[str]:
    """The modules of the model's classes: its own, its parents' and those of the estimators inside it."""
    inner = [model]
    if flavor_of(model) == "sklearn":
        inner += [part for part in model.get_params(deep=True).values() if hasattr(part, "get_params")]
    for part in inner:
        kind = part if isinstance(part, type) else type(part)
        yield from (parent.__module__ for parent in kind.__mro__)
