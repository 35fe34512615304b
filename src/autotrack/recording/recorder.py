"""`Recorder`: the methods that record facts of a run or of a training inside it, as events in the journal."""

from __future__ import annotations

import json
import mimetypes
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotrack.environment.redaction import has_secret, is_secret, is_secret_name, redact_url
from autotrack.events import (
    Artifact,
    Dataset,
    Evaluation,
    Event,
    FileKind,
    Media,
    Model,
    Note,
    Params,
    Report,
    Role,
    Section,
    Tags,
)
from autotrack.exceptions import InvalidValueError
from autotrack.journal import blobs
from autotrack.journal.host import user_name
from autotrack.recording.collector import Collector, is_paused
from autotrack.values import checked_key, flat_params, plain

MASK = '"[masked]"'
LONGEST_VALUE = 16_384
PREVIEW = 500
SHORTEST_SECRET = 16
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\]+")
_now = time.time


class Recorder:
    """Records facts of one run (`training` 0) or of one training inside it. Thread-safe.

    Facts may be added after the end of the run and do not change its status. Invalid input raises
    `InvalidValueError`, and nothing of that call is recorded.
    """

    is_silent = False  # True for classes whose methods record nothing

    def __init__(self, collector: Collector, run_id: str, training: int = 0) -> None:
        self.collector = collector
        self.id = run_id
        self.number = training

    def emit(self, event: Event) -> None:
        """Append an event, whose `run` should be the id of this run, unless recording is paused."""
        if not is_paused():
            self.collector.append(event)

    def log_params(self, params: Mapping[str, Any], *, origin: str = "set") -> None:
        """Record parameters: nested mappings get dotted names, a later value replaces an earlier one.

        `origin` is "set" for values that the user set, "default" for defaults of a framework, "config" for parts of
        a full configuration. Values under names such as `api_key` are masked, and the capture report lists them.
        """
        flat = flat_params(params)
        masked = []
        for key, text in flat.items():
            safe = _URL.sub(lambda found: redact_url(found.group()), text) if "://" in text else text
            if _is_secret(key, safe):
                masked.append(key)
                safe = MASK
            elif len(safe) > LONGEST_VALUE:
                safe = self._long_value(key, safe)
            if safe is not text:
                flat[key] = safe
        if flat:
            self.emit(Params(run=self.id, time=_now(), training=self.number, values=flat, origin=origin))  # type: ignore[arg-type]
        if masked:
            self.report("params", "masked, because they look like secrets: " + ", ".join(masked), level="info")

    def log_param(self, key: str, value: Any) -> None:
        """Record one parameter."""
        self.log_params({key: value})

    def _long_value(self, key: str, text: str) -> str:
        name = f"params/{key.replace('/', '_')}.json"
        self.log_bytes(text.encode(), name, media_type="application/json")
        self.report("params", f"{key} has {len(text):,} characters: kept whole as the artifact {name}", level="info")
        return json.dumps(text[:PREVIEW] + "…")

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, as text; a value of None removes the tag."""
        values = {
            checked_key(key): None if value is None else value if isinstance(value, str) else str(plain(value))
            for key, value in tags.items()
        }
        if values:
            self.emit(Tags(run=self.id, time=_now(), training=self.number, values=values))

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""
        self.set_tags({key: value})

    def note(self, text: str) -> None:
        """Add a remark, in Markdown."""
        self.emit(Note(run=self.id, time=_now(), training=self.number, text=str(text), user=user_name()))

    def report(self, what: str, message: str, *, level: str = "missing", count: int = 1) -> None:
        """Add a line to the capture report: what was not captured, or with level "info" a remark on the capture.

        `what` groups lines of one kind ("git", "model"), `count` is the number of facts concerned.
        """
        self.emit(
            Report(
                run=self.id, time=_now(), training=self.number, what=what, message=message,
                level=level, count=count,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    def log_section(
        self, name: str, data: Mapping[str, Any], *, masked: Iterable[str] = (), unavailable: str | None = None
    ) -> None:
        """Record a section of the run's context; `unavailable` is the reason if there is no data.

        `masked` lists the dotted paths inside `data` whose values were withheld.
        """
        self.emit(
            Section(
                run=self.id, time=_now(), training=self.number, name=name, data=plain(data), masked=list(masked),
                unavailable=unavailable, attempt=self._attempt,
            )
        )  # fmt: skip

    _attempt = 1

    def log_artifact(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        kind: FileKind = "artifact",
        step: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a copy of a file, or of all files in a folder, as they are now.

        `name` is the slash-separated name within the run, by default the file's own. `FileNotFoundError` if there
        is no such file.
        """
        source = Path(path)
        if source.is_dir():
            self.log_artifacts(source, name if name is not None else source.name, kind=kind, step=step, meta=meta)
            return
        artifact = _artifact_name(name or source.name)
        digest, size = blobs.put_file(self._blobs(), source)
        self._artifact(artifact, digest, size, kind, step, str(source.absolute()), "", meta)

    def log_artifacts(
        self,
        folder: str | os.PathLike[str],
        prefix: str = "",
        *,
        kind: FileKind = "artifact",
        step: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a copy of every file in `folder` and below, under `prefix`."""
        root = Path(folder)
        if not root.is_dir():
            raise NotADirectoryError(20, "there is no such folder", str(root))
        for path in sorted(root.rglob("*")):
            if path.is_file():
                name = path.relative_to(root).as_posix()
                self.log_artifact(path, f"{prefix}/{name}" if prefix else name, kind=kind, step=step, meta=meta)

    def log_bytes(
        self,
        data: bytes,
        name: str,
        *,
        kind: FileKind = "artifact",
        media_type: str = "",
        step: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> str:
        """Keep `data` as the artifact `name`; returns its SHA-256."""
        name = _artifact_name(name)
        digest = blobs.put_bytes(self._blobs(), data)
        self._artifact(name, digest, len(data), kind, step, "", media_type, meta)
        return digest

    def log_text(self, text: str, name: str) -> None:
        """Keep a text as the artifact `name`, in UTF-8."""
        self.log_bytes(text.encode(errors="surrogatepass"), name, media_type="text/plain")

    def log_dict(self, data: Any, name: str) -> None:
        """Keep nested plain data as the JSON artifact `name`."""
        text = json.dumps(plain(data), ensure_ascii=False, indent=1)
        self.log_bytes(text.encode(), name, media_type="application/json")

    def log_table(self, name: str, data: Any, step: int | None = None) -> None:
        """Record a table (DataFrame, Arrow table, mapping of columns, list of rows) as media under the key `name`."""
        from autotrack.recording.media import table_bytes

        self._media(name, "table", *table_bytes(name, data), step)

    def log_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Record a figure (matplotlib, plotly), an image (PIL) or other media under the key `name`."""
        from autotrack.recording.media import as_media

        found = as_media(name, figure)
        if found is None:
            raise InvalidValueError(
                f"figure {name!r}: a {type(figure).__name__} is no matplotlib, plotly or PIL figure"
            )
        self._media(name, found.kind, found.data, found.media_type, step)

    def log_dataset(
        self, data: Any = None, *, name: str, role: Role = "unknown", version: str = "", source: Any = ""
    ) -> None:
        """Record a dataset by its shape, columns, dtypes and a bounded fingerprint, never the data itself."""
        from autotrack.recording.fingerprint import describe

        digest, meta = describe(data) if data is not None else ("", {})
        self.emit(
            Dataset(
                run=self.id, time=_now(), training=self.number, name=checked_key(name), role=role,
                version=str(version), source=redact_url(str(source)), digest=digest, meta=plain(meta),
            )
        )  # fmt: skip

    def log_evaluation(
        self, name: str, columns: Mapping[str, Sequence[Any]], meta: Mapping[str, Any] | None = None
    ) -> None:
        """Record a small table of results, such as a confusion matrix or a curve; columns of equal length."""
        table = {checked_key(str(key)): list(plain(list(values))) for key, values in columns.items()}
        if len({len(values) for values in table.values()}) > 1:
            lengths = {key: len(values) for key, values in table.items()}
            raise InvalidValueError(f"evaluation {name!r}: the columns differ in length: {lengths}")
        self.emit(
            Evaluation(
                run=self.id, time=_now(), training=self.number, name=checked_key(name), columns=table,
                meta=plain(meta or {}),
            )
        )  # fmt: skip

    def log_model(
        self,
        model: Any,
        name: str = "model",
        *,
        flavor: str | None = None,
        signature: Any = None,
        input_example: Any = None,
        allow_pickle: bool = False,
        init: Mapping[str, Any] | None = None,
    ) -> None:
        """Save a model with its signature, input example and the packages it needs.

        Its files become artifacts of kind "model" under `<name>/`. Models beyond the size limits are recorded by
        size and digest only, and the capture report names the setting that lifts the limit. `init`
        (`{"args": […], "kwargs": {…}}`) are the constructor arguments of a torch module, which loading passes again.
        """
        from autotrack.models import save_model

        with self.model_folder() as folder:
            saved = save_model(
                model, flavor=flavor, signature=signature, input_example=input_example, allow_pickle=allow_pickle,
                init=init, origin={"run": self.id, "training": self.number}, folder=folder,
            )  # fmt: skip
            self.record_model(name, saved.flavor, saved.files, saved.meta)

    @contextmanager
    def model_folder(self) -> Iterator[Path]:
        """A temporary folder to save a model in before it is recorded; its files are moved to the blobs, not copied."""
        passing = None
        if not self.is_silent:
            passing = self._blobs() / "new"
            passing.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="model-", dir=passing) as folder:
            yield Path(folder)

    def record_model(self, name: str, flavor: str, files: Mapping[str, bytes | Path], meta: Mapping[str, Any]) -> None:
        """Record a model that has been saved to `files`, as bytes or as paths that may be deleted afterwards."""
        name = _artifact_name(name)
        size = sum(data.stat().st_size if isinstance(data, Path) else len(data) for data in files.values())
        limit = self._model_limit(size)
        kept = limit is None
        digests = []
        for path, data in files.items():
            digest, length = self._put(data) if kept else _measured(data)
            digests.append((path, digest))
            self._artifact(f"{name}/{path}", digest, length, "model", None, "", "", None, stored=kept)
        if not kept:
            self.report("model", f"{name} was recorded by digest only: its {size:,} bytes exceed {limit}")
        self.emit(
            Model(
                run=self.id, time=_now(), training=self.number, name=name, flavor=flavor,
                digest=blobs.tree_digest(digests), size=size, stored=kept, meta=plain(meta),
            )
        )  # fmt: skip

    def _model_limit(self, size: int) -> str | None:
        """Count a model of `size` bytes as stored and return None, or return the limit that it exceeds (as text)."""
        limit = self.over_limit(size)
        if limit is None:
            stored = self.collector.model_bytes
            stored[self.id] = stored.get(self.id, 0) + size
        return limit

    def over_limit(self, size: int, freed: int = 0) -> str | None:
        """The limit that `size` more bytes of models exceed, with the setting that lifts it; None if none is exceeded.

        `freed` is the number of stored bytes that will be deleted first.
        """
        settings = self.collector.settings
        if settings.model_limit is not None and size > settings.model_limit:
            return f"model_limit={settings.model_limit:,}; configure(model_limit=None) lifts it"
        together = self.collector.model_bytes.get(self.id, 0) + size - freed
        if settings.models_per_run_limit is not None and together > settings.models_per_run_limit:
            return (
                f"models_per_run_limit={settings.models_per_run_limit:,} with the models before; "
                "configure(models_per_run_limit=None) lifts it"
            )
        return None

    def room_for_models(self) -> int | None:
        """The largest size in bytes that a further model of the run may have; None if there is no limit."""
        settings, stored = self.collector.settings, self.collector.model_bytes.get(self.id, 0)
        together = None if settings.models_per_run_limit is None else settings.models_per_run_limit - stored
        return min((limit for limit in (settings.model_limit, together) if limit is not None), default=None)

    def _put(self, data: bytes | Path) -> tuple[str, int]:
        """Store bytes or a file as a blob; returns digest and size."""
        if isinstance(data, Path):
            return blobs.put_file(self._blobs(), data)
        return blobs.put_bytes(self._blobs(), data), len(data)

    def _blobs(self) -> Path:
        self.collector.open_journal()
        return self.collector.place.blobs

    def _artifact(
        self, name: str, digest: str, size: int, kind: FileKind, step: int | None, source: str, media_type: str,
        meta: Mapping[str, Any] | None, *, stored: bool = True,
    ) -> None:  # fmt: skip
        self.emit(
            Artifact(
                run=self.id, time=_now(), training=self.number, name=name, digest=digest, size=size, kind=kind,
                media_type=media_type or mimetypes.guess_type(name)[0] or "", step=step, source=source,
                stored=stored, meta=plain(meta or {}),
            )
        )  # fmt: skip

    def _media(self, key: str, kind: Any, data: bytes, media_type: str, step: int | None) -> None:
        digest = blobs.put_bytes(self._blobs(), data)
        self.emit(
            Media(
                run=self.id, time=_now(), training=self.number, key=checked_key(key), kind=kind, digest=digest,
                size=len(data), step=step, media_type=media_type,
            )
        )  # fmt: skip


def _is_secret(key: str, text: str) -> bool:
    if is_secret_name(key) and is_secret(key, json.loads(text)):
        return True
    return len(text) >= SHORTEST_SECRET and text[0] in '"[{' and has_secret(text)


def _measured(data: bytes | Path) -> tuple[str, int]:
    if isinstance(data, Path):
        return blobs.file_digest(data)
    return blobs.bytes_digest(data), len(data)


def _artifact_name(name: str) -> str:
    checked_key(name)
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise InvalidValueError(f"artifact name {name!r}: use a relative name without '.' or '..' parts")
    return "/".join(parts)
