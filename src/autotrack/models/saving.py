"""Saves models as files, in the safest format that can hold them."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotrack.exceptions import InvalidValueError
from autotrack.journal.blobs import tree_digest
from autotrack.models.files import Asked, Content, digest_of, read, size_of
from autotrack.models.flavors import flavor_of, flavors
from autotrack.models.python import class_name
from autotrack.models.requirements import requirements
from autotrack.models.signature import example_bytes, signature_of
from autotrack.models.skops_file import TooLarge
from autotrack.values import plain

META = "model.json"
EXAMPLE = "input_example.json"
REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True)
class SavedModel:
    """A model as files by name, ready to be stored, and its metadata.

    `files` are bytes, or the paths of files in the folder that was passed to `save_model`. `meta` holds:
    `flavor`, `format` (skops, safetensors, pickle, …), `file` (which of `files` is the model), `class`, `signature`,
    `input_example` (the name of its file, or None), `no_input_example` (why there is none), `requirements`, `python`,
    `runs_code` (whether loading it can run code), `untrusted` (types that need trust for loading), `details` (what else
    loading needs), `run` and `training` (the origin, if given), `files` (the SHA-256 of each file but `model.json`,
    which holds all of this) and `digest` (one over these).
    """

    files: dict[str, Content]
    flavor: str
    meta: dict[str, Any]


def save_model(
    model: Any,
    *,
    flavor: str | None = None,
    signature: Mapping[str, Any] | None = None,
    input_example: Any = None,
    allow_pickle: bool = False,
    init: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    limit: int | None = None,
) -> SavedModel:
    """Save `model` as files.

    `flavor` ("sklearn", "torch", "keras", …, or "python" for anything else) is recognised from the model by default. Of
    `input_example` the first five rows are kept; they also give the signature, unless there is one; a Keras model has
    its own. A model that no safe format can hold needs `allow_pickle`, because loading a pickle runs code
    (`InvalidValueError` without it).
    `init` (`{"args": […], "kwargs": {…}}`) are the constructor's arguments of a torch module. `origin` (`run`,
    `training`) is added to the meta. Large files are written into `folder`, an empty one, and stay there; without a
    folder all files are in memory. Raises `TooLarge` past `limit` (bytes).
    """
    flavor = flavor or flavor_of(model)
    found = flavors().get(flavor)
    if found is None:
        raise InvalidValueError(f"there is no model flavor {flavor!r}; there are: {', '.join(sorted(flavors()))}")
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="autotrack-") as passing:
            asked = Asked(model, Path(passing), allow_pickle, init, limit)
            written = found.write(asked)
            files: dict[str, Content] = {name: read(content) for name, content in _within(written.files, limit).items()}
    else:
        written = found.write(Asked(model, folder, allow_pickle, init, limit))
        files = dict(_within(written.files, limit))
    if signature is None:
        signature = written.signature if input_example is None else signature_of(input_example)
    example, why_not = example_bytes(input_example) if input_example is not None else (None, "")
    if example is not None:
        files[EXAMPLE] = example
    needs = requirements(_modules(model), flavor, written.format)
    files[REQUIREMENTS] = "".join(f"{line}\n" for line in needs).encode()
    digests = {name: digest_of(content) for name, content in files.items()}
    meta = {
        "flavor": flavor, "format": written.format, "file": written.file, "class": class_name(model),
        "signature": dict(signature) if signature is not None else None,
        "input_example": EXAMPLE if example is not None else None, "no_input_example": why_not,
        "requirements": needs, "python": platform.python_version(), "runs_code": written.runs_code,
        "untrusted": written.untrusted, "details": plain(dict(written.details)), **(origin or {}),
        "files": digests, "digest": tree_digest(digests.items()),
    }  # fmt: skip
    files[META] = json.dumps(meta, ensure_ascii=False, indent=1).encode()
    return SavedModel(files, flavor, meta)


def _within(files: Mapping[str, Content], limit: int | None) -> Mapping[str, Content]:
    """The files; `TooLarge` if they are larger than the limit."""
    if limit is not None and sum(map(size_of, files.values())) > limit:
        raise TooLarge(f"it has more than {limit:,} bytes")
    return files


def _modules(model: Any) -> Iterator[str]:
    """The modules of the model's classes: its own, its parents' and those of the parts inside it."""
    for part in (model, *flavors()[flavor_of(model)].parts(model)):
        kind = part if isinstance(part, type) else type(part)
        yield from (parent.__module__ for parent in kind.__mro__)
