"""`FileRecorder`: the methods that keep files and media with a run, as blobs that events name by digest."""

from __future__ import annotations

import json
import mimetypes
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack.environment.redaction import has_secret, redact_mapping
from autotrack.events import Artifact, FileKind, Media
from autotrack.exceptions import InvalidValueError
from autotrack.journal import blobs
from autotrack.recording.base import BaseRecorder
from autotrack.values import checked_key, plain

if TYPE_CHECKING:
    from autotrack.recording.media import AsMedia

MOST_SEARCHED = 20_000  # characters of a text that are searched for secrets
MOST_NAMED = 10  # files in one line of the capture report
_now = time.time


class FileRecorder(BaseRecorder):
    """Keeps copies of files and bytes as artifacts, and figures, images and tables as media."""

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
        is no such file, `InvalidValueError` for what is neither file nor folder, such as a pipe, a socket or a device.
        """
        source = Path(path)
        if source.is_dir():
            self.log_artifacts(source, name if name is not None else source.name, kind=kind, step=step, meta=meta)
            return
        if source.exists() and not source.is_file():
            raise InvalidValueError(f"{source} is neither a file nor a folder: reading it might never end")
        artifact = artifact_name(name or source.name)
        digest, size = blobs.put_file(self._blob_folder(), source)
        self._record_artifact(artifact, digest, size, kind=kind, step=step, source=str(source.absolute()), meta=meta)

    def log_artifacts(
        self,
        folder: str | os.PathLike[str],
        prefix: str = "",
        *,
        kind: FileKind = "artifact",
        step: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a copy of every file in `folder` and below, under `prefix`; of none if one has an invalid name.

        Links that lead nowhere, pipes, sockets and devices are named in the capture report, and so is the folder of the
        recordings, if it lies inside.
        """
        root = Path(folder)
        if not root.is_dir():
            raise NotADirectoryError(20, "there is no such folder", str(root))
        files, left_out = _files_below(root, self.collector.place.path)
        if left_out:
            self.report("artifact", f"left out of {root}: {_named(left_out)}", count=len(left_out))
        names = [path.relative_to(root).as_posix() for path in files]
        named = [artifact_name(f"{prefix}/{name}" if prefix else name) for name in names]
        for path, artifact in zip(files, named, strict=True):
            self.log_artifact(path, artifact, kind=kind, step=step, meta=meta)

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
        name = artifact_name(name)
        digest = blobs.put_bytes(self._blob_folder(), data)
        self._record_artifact(name, digest, len(data), kind=kind, media_type=media_type, step=step, meta=meta)
        return digest

    def log_text(self, text: str, name: str) -> None:
        """Keep a text as the artifact `name`, in UTF-8; the capture report says if it seems to hold a secret."""
        self.log_bytes(text.encode(errors="surrogatepass"), name, media_type="text/plain")
        if has_secret(text[:MOST_SEARCHED]):
            self.report("artifact", f"{name} seems to hold a secret; it is kept as it is", level="info")

    def log_dict(self, data: Any, name: str) -> None:
        """Keep nested plain data as the JSON artifact `name`. Values that look like secrets are masked."""
        kept, masked = redact_mapping({"": plain(data)})
        text = json.dumps(kept[""], ensure_ascii=False, indent=1)
        self.log_bytes(text.encode(), name, media_type="application/json")
        if masked:
            paths = ", ".join(path.removeprefix(".") for path in masked)
            self.report("artifact", f"masked in {name}, because they look like secrets: {paths}", level="info")

    def log_table(self, name: str, data: Any, step: int | None = None) -> None:
        """Record a table (DataFrame, Arrow table, mapping of columns, list of rows) as media under the key `name`."""
        from autotrack.recording.media import AsMedia, table_bytes

        self._record_media(name, AsMedia("table", *table_bytes(name, data)), step)

    def log_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Record a figure (matplotlib, plotly), an image (PIL) or other media under the key `name`."""
        from autotrack.recording.media import as_media

        media = as_media(name, figure)
        if media is None:
            raise InvalidValueError(
                f"figure {name!r}: a {type(figure).__name__} is no matplotlib, plotly or PIL figure"
            )
        self._record_media(name, media, step)

    def _blob_folder(self) -> Path:
        """The folder of the blobs, which is known once the journal is open."""
        self.collector.open_journal()
        return self.collector.place.blobs

    def _record_artifact(
        self, name: str, digest: str, size: int, *, kind: FileKind, media_type: str = "", step: int | None = None,
        source: str = "", stored: bool = True, meta: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.emit(
            Artifact(
                run=self.id, time=_now(), training=self.number, name=name, digest=digest, size=size, kind=kind,
                media_type=media_type or mimetypes.guess_type(name)[0] or "", step=step, source=source,
                stored=stored, meta=plain(meta or {}),
            )
        )  # fmt: skip

    def _record_media(self, key: str, media: AsMedia, step: int | None) -> None:
        digest = blobs.put_bytes(self._blob_folder(), media.data)
        self.emit(
            Media(
                run=self.id, time=_now(), training=self.number, key=checked_key(key), kind=media.kind, digest=digest,
                size=len(media.data), step=step, media_type=media.media_type,
            )
        )  # fmt: skip


def _files_below(root: Path, recordings: Path) -> tuple[list[Path], list[str]]:
    """The files below a folder, sorted, and what is left out of it, with the reason in brackets."""
    files, left_out = [], []
    for path in sorted(root.rglob("*")):
        if recordings in path.absolute().parents:
            continue
        name = path.relative_to(root).as_posix()
        if path.absolute() == recordings:
            left_out.append(f"{name} (the recordings themselves)")
        elif path.is_file():
            files.append(path)
        elif not path.is_dir():
            left_out.append(f"{name} ({'a link that leads nowhere' if path.is_symlink() else 'no file'})")
    return files, left_out


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def artifact_name(name: str) -> str:
    """`name` with slashes between its parts; `InvalidValueError` unless it is relative, without `.` and `..`."""
    checked_key(name)
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise InvalidValueError(f"artifact name {name!r}: use a relative name without '.' or '..' parts")
    return "/".join(parts)
