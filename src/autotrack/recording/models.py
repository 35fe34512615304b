"""`ModelRecorder`: the methods that keep trained models with a run, within the limits on their sizes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotrack.events import Model
from autotrack.journal import blobs
from autotrack.recording.collector import is_paused
from autotrack.recording.files import FileRecorder, artifact_name
from autotrack.values import plain

_now = time.time


class ModelRecorder(FileRecorder):
    """Keeps the files of models as artifacts; of models beyond the limits only their sizes and digests."""

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
            passing = self._blob_folder() / "new"
            passing.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="model-", dir=passing) as folder:
            yield Path(folder)

    def record_model(self, name: str, flavor: str, files: Mapping[str, bytes | Path], meta: Mapping[str, Any]) -> None:
        """Record a model that has been saved to `files`, as bytes or as paths that may be deleted afterwards."""
        name = artifact_name(name)
        if is_paused():
            return
        size = sum(data.stat().st_size if isinstance(data, Path) else len(data) for data in files.values())
        limit = self.over_limit(size)
        kept = limit is None
        digests = []
        for path, data in files.items():
            digest, length = self._put(data) if kept else _measured(data)
            digests.append((path, digest))
            self._record_artifact(f"{name}/{path}", digest, length, kind="model", stored=kept)
        if kept:
            self.collector.model_bytes[self.id] += size
        else:
            self.report("model", f"{name} was recorded by digest only: its {size:,} bytes exceed {limit}")
        self.emit(
            Model(
                run=self.id, time=_now(), training=self.number, name=name, flavor=flavor,
                digest=blobs.tree_digest(digests), size=size, stored=kept, meta=plain(meta),
            )
        )  # fmt: skip

    def over_limit(self, size: int, freed: int = 0) -> str | None:
        """The limit that `size` more bytes of models exceed, with the setting that lifts it; None if none is exceeded.

        `freed` is the number of stored bytes that will be deleted first.
        """
        settings = self.collector.settings
        if settings.model_limit is not None and size > settings.model_limit:
            return f"model_limit={settings.model_limit:,}; configure(model_limit=None) lifts it"
        together = self.collector.model_bytes[self.id] + size - freed
        if settings.models_per_run_limit is not None and together > settings.models_per_run_limit:
            return (
                f"models_per_run_limit={settings.models_per_run_limit:,} with the models before; "
                "configure(models_per_run_limit=None) lifts it"
            )
        return None

    def room_for_models(self) -> int | None:
        """The largest size in bytes that a further model of the run may have; None if there is no limit."""
        settings, stored = self.collector.settings, self.collector.model_bytes[self.id]
        together = None if settings.models_per_run_limit is None else settings.models_per_run_limit - stored
        return min((limit for limit in (settings.model_limit, together) if limit is not None), default=None)

    def _put(self, data: bytes | Path) -> tuple[str, int]:
        """Store bytes or a file as a blob; returns digest and size."""
        if isinstance(data, Path):
            return blobs.put_file(self._blob_folder(), data)
        return blobs.put_bytes(self._blob_folder(), data), len(data)


def _measured(data: bytes | Path) -> tuple[str, int]:
    """The digest and the size of bytes or of a file."""
    if isinstance(data, Path):
        return blobs.file_digest(data)
    return blobs.bytes_digest(data), len(data)
