"""`Recorder`: the methods that record params, tags, notes and other small facts, as events in the journal."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from autotrack.environment.redaction import has_secret, is_secret, is_secret_name, redact_url
from autotrack.events import Dataset, Evaluation, Note, Params, Role, Section, Tags
from autotrack.exceptions import InvalidValueError
from autotrack.journal.host import user_name
from autotrack.recording.collector import is_paused
from autotrack.recording.models import ModelRecorder
from autotrack.values import checked_key, flat_params, plain

MASK = '"[masked]"'
LONGEST_VALUE = 16_384
PREVIEW = 500
SHORTEST_SECRET = 16
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\]+")
_now = time.time


class Recorder(ModelRecorder):
    """Records facts of one run (`training` 0) or of one training inside it. Thread-safe.

    Facts may be added after the end of the run and do not change its status. Invalid input raises
    `InvalidValueError`, and nothing of that call is recorded.
    """

    _attempt = 1

    def log_params(self, params: Mapping[str, Any], *, origin: str = "set") -> None:
        """Record parameters: nested mappings get dotted names, a later value replaces an earlier one.

        `origin` is "set" for values that the user set, "default" for defaults of a framework, "config" for parts of
        a full configuration. Values under names such as `api_key` are masked, and the capture report lists them.
        """
        values: dict[str, str] = {}
        masked = []
        for key, text in flat_params(params).items():
            value = _URL.sub(lambda found: redact_url(found.group()), text) if "://" in text else text
            if _is_secret(key, value):
                masked.append(key)
                value = MASK
            elif len(value) > LONGEST_VALUE:
                value = self._shortened(key, value)
            values[key] = value
        if values:
            self._emit_params(values, origin)
        if masked:
            self.report("params", "masked, because they look like secrets: " + ", ".join(masked), level="info")

    def _emit_params(self, values: dict[str, str], origin: str) -> None:
        self.emit(Params(run=self.id, time=_now(), training=self.number, values=values, origin=origin))  # type: ignore[arg-type]

    def log_param(self, key: str, value: Any) -> None:
        """Record one parameter."""
        self.log_params({key: value})

    def _shortened(self, key: str, text: str) -> str:
        """The beginning of a long value, which is kept whole as an artifact."""
        name = f"params/{key.replace('/', '_')}.json"
        self.log_bytes(text.encode(), name, media_type="application/json")
        self.report("params", f"{key} has {len(text):,} characters: kept whole as the artifact {name}", level="info")
        return json.dumps(text[:PREVIEW] + "…")

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, as text; a value of None removes the tag. Values that look like secrets are masked."""
        values = {
            checked_key(key): None if value is None else value if isinstance(value, str) else str(plain(value))
            for key, value in tags.items()
        }
        masked = [key for key, text in values.items() if text is not None and _is_secret(key, json.dumps(text))]
        if values:
            values.update(dict.fromkeys(masked, json.loads(MASK)))
            self.emit(Tags(run=self.id, time=_now(), training=self.number, values=values))
        if masked:
            self.report("tags", "masked, because they look like secrets: " + ", ".join(masked), level="info")

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""
        self.set_tags({key: value})

    def note(self, text: str) -> None:
        """Add a remark, in Markdown. A remark in which something looks like a secret is withheld."""
        remark = str(text)
        if has_secret(remark):
            remark = json.loads(MASK)
            self.report("notes", "a remark was withheld, because something in it looks like a secret", level="info")
        self.emit(Note(run=self.id, time=_now(), training=self.number, text=remark, user=user_name()))

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

    def log_shared_sections(self, contents: Sequence[Section]) -> None:
        """Record sections that other runs of this process have, too, so that the journal holds each content once.

        `contents` are sections of any run with their `digest`; what is recorded are those of this run and attempt.
        """
        if contents and not is_paused():
            about = {"run": self.id, "time": _now(), "training": self.number, "attempt": self._attempt}
            self.collector.append_sections([replace(content, **about) for content in contents])

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


def _is_secret(key: str, text: str) -> bool:
    if is_secret_name(key) and is_secret(key, json.loads(text)):
        return True
    return len(text) >= SHORTEST_SECRET and text[0] in '"[{' and has_secret(text)
