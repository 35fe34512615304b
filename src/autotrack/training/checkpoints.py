"""Checkpoints: files that a framework writes during training, copied in the background and kept by a policy.

Each file is opened right after it was written, which takes microseconds, and copied on the background thread from the
open descriptor, so that it can be copied even if the framework deletes it meanwhile. A file that is overwritten before
it was copied is detected and reported. Every file becomes an artifact at once; a later event updates it with whether
its bytes are stored and, if not, why.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from autotrack._guard import guarded
from autotrack.events import Artifact
from autotrack.exceptions import InvalidValueError
from autotrack.instrument.options import POLICIES
from autotrack.journal import blobs
from autotrack.recording.collector import is_paused
from autotrack.recording.recorder import Recorder
from autotrack.training.checkpoint_origins import remember
from autotrack.values import as_number

FOLDER = "checkpoints"
MOST_FILES = 500
MOST_OPEN = 128  # descriptors that are held at once; files beyond that are opened by path when they are copied
BACKLOG = 3  # checkpoints that may wait to be copied before those that are not among the best are skipped
WAITING = "waiting to be copied"


@dataclass
class _File:
    """One file of a checkpoint: its identity (`looks`) when it was written, and whether and where it is stored.

    `looks` are device, inode, modification time in ns, and size; `reason` is why the file is not stored.
    """

    name: str
    path: Path
    looks: tuple[int, ...]
    time: float
    descriptor: int = -1
    is_held: bool = False
    reason: str = WAITING
    kept: blobs.Kept | None = None

    @property
    def size(self) -> int:
        return self.looks[-1]

    def hold(self) -> None:
        """Open the file and set `looks` to its present identity."""
        self.open()
        self.is_held = True
        self.looks = self.looks_now()

    def open(self) -> None:
        """Open the file, unless it is open."""
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def looks_now(self) -> tuple[int, ...]:
        """The present identity of the open file; it differs from `looks` if the file was overwritten."""
        return _looks(os.fstat(self.descriptor))

    def close(self) -> bool:
        """Close the file if it is open; returns whether it was held since `hold`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        was_held, self.is_held, self.descriptor = self.is_held, False, -1
        return was_held


@dataclass
class _Checkpoint:
    """One file or folder that the framework wrote, with its step, score and other facts from the framework."""

    number: int
    name: str
    facts: dict[str, Any]
    score: float | None
    mode: str | None
    files: list[_File] = field(default_factory=list)
    complete: bool = True
    is_best: bool = False
    is_last: bool = False

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def stored(self) -> bool:
        return any(file.kept is not None for file in self.files)


class Checkpoints:
    """The checkpoints of one training. `saved` is called on the training's thread; copies are made in the background.

    `policy` is which ones are stored: "none" (not even recorded), "best", "last", "best+last" or "all"; the others are
    recorded by name, size, step and score. `keep` is the number of best ones, for each monitored metric. Stored bytes
    are limited by the settings `model_limit` (one checkpoint) and `models_per_run_limit` (all models of the run).
    """

    def __init__(self, training: Recorder, policy: str = "best+last", *, keep: int = 1) -> None:
        """Create the record of a training's checkpoints; `InvalidValueError` for an unknown policy."""
        if policy not in POLICIES:
            raise InvalidValueError(f"checkpoints={policy!r}: there are {', '.join(map(repr, POLICIES))}")
        self.policy = policy
        self.keep = max(1, keep)
        self._training = training
        self._owner = training.collector
        self._seen = self._submitted = self._opened = 0  # counted on the training's thread
        self._settled = self._closed = 0  # counted on the background thread
        self._finished = False
        self._kept: list[_Checkpoint] = []
        self._holders: dict[str, set[int]] = {}
        self._blobs: dict[str, blobs.Kept] = {}
        self._missed: dict[str, int] = {}

    def saved(
        self,
        path: str | os.PathLike[str],
        *,
        step: int | None = None,
        epoch: float | None = None,
        score: Any = None,
        monitor: str | None = None,
        mode: str | None = None,
        best: bool | None = None,
        last: bool | None = None,
    ) -> None:
        """Record the file or folder `path`, which the framework has just written. Raises no `Exception`.

        `score` is the value of the metric `monitor` at this point; `mode` is "min" or "max", whichever is better.
        `best` and `last` are the framework's own marks, None if it has none: without `mode` the latest checkpoint that
        is marked best is the best, and without `last` the latest checkpoint is the last.
        """
        if self._training.is_silent or is_paused():
            return
        self._seen += 1
        if self.policy == "none":
            return
        with guarded("recording a checkpoint"):
            number = as_number("score", score) if score is not None else None
            facts = {"step": step, "epoch": epoch, "score": number, "monitor": monitor, "best": best, "last": last}
            checkpoint = _Checkpoint(self._seen, _text(Path(path).name), facts, _ranked(number), mode)
            place = Path(path).absolute()
            self._take(checkpoint, place)
            self._submitted += 1
            keep = remember(self._owner.place, place, self._training.id)
            self._owner.background.submit("copying a checkpoint", partial(self._settle, checkpoint))
            self._owner.background.submit("noting whose checkpoint it is", keep)

    def finish(self) -> None:
        """Report the counts after the last checkpoint, once all are copied; the process waits for that at its end."""
        if self._seen and not self._finished:
            self._finished = True
            self._owner.background.submit("the report on checkpoints", self._report_all)

    def _take(self, checkpoint: _Checkpoint, path: Path) -> None:
        """Open the files of a checkpoint, to be copied later, and record each as an artifact that is not yet stored."""
        found = _files(path)
        for name, place in found[:MOST_FILES]:
            file = _File(f"{FOLDER}/{_text(name)}", place, (0,), time.time())
            checkpoint.files.append(file)
            try:
                if self._opened - self._closed < MOST_OPEN:
                    file.hold()
                    self._opened += 1
                else:
                    file.looks = _looks(place.stat())
            except OSError as error:
                file.reason = _gone(error)
                self._miss(file.reason, file.name)
            self._emit(checkpoint, file, first=True)
        left_out = len(found) - len(checkpoint.files)
        if left_out:
            self._miss(f"files of a checkpoint beyond the first {MOST_FILES}", checkpoint.name, left_out)

    def _settle(self, checkpoint: _Checkpoint) -> None:
        """On the background thread: copy a checkpoint if policy and limits allow, then release superseded ones."""
        self._settled += 1
        pending = [file for file in checkpoint.files if file.reason == WAITING]
        try:
            reason = self._why_not(checkpoint)
            for file in pending:
                self._copy(checkpoint, file, reason)
                self._closed += file.close()
        finally:
            for file in checkpoint.files:
                self._closed += file.close()
        checkpoint.complete = bool(checkpoint.files) and all(file.kept is not None for file in checkpoint.files)
        if checkpoint.stored:
            self._kept.append(checkpoint)
        self._mark(checkpoint)
        for file in pending:
            self._emit(checkpoint, file)
        outdone = self._outdone(self._kept)
        for older in outdone:
            self._release(older, f"{checkpoint.name} took its place: checkpoints={self.policy!r}")
        self._kept = [one for one in self._kept if one not in outdone]

    def _why_not(self, checkpoint: _Checkpoint) -> str:
        """The reason why a checkpoint must not be copied; empty if it is to be copied."""
        together = [*self._kept, checkpoint]
        outdone = self._outdone(together)
        if checkpoint in outdone:
            return f"not kept by checkpoints={self.policy!r}"
        is_late = self._submitted - self._settled > BACKLOG
        if is_late and self.policy != "all" and checkpoint.number not in self._best_of(together, self.keep):
            return "newer ones were written before it could be copied"
        limit = self._training.over_limit(checkpoint.size, self._freed_by(outdone))
        if limit is not None:
            self._miss(f"not kept, beyond {limit}", f"{checkpoint.name} ({checkpoint.size:,} bytes)")
            return f"beyond {limit}"
        return ""

    def _copy(self, checkpoint: _Checkpoint, file: _File, reason: str) -> None:
        file.reason = reason
        if reason:
            return
        try:
            file.open()
            if file.looks_now() == file.looks:
                kept = blobs.put_descriptor(self._owner.place.blobs, file.descriptor, self._blobs)
                self._hold(checkpoint, kept)
                if file.looks_now() == file.looks:
                    file.kept = kept
                    return
                self._drop(checkpoint, kept)
            file.reason = "overwritten before it could be copied"
        except OSError as error:
            file.reason = _gone(error)
        self._miss(file.reason, file.name)

    def _outdone(self, checkpoints: list[_Checkpoint]) -> list[_Checkpoint]:
        """The checkpoints among `checkpoints` that the policy does not keep."""
        if self.policy == "all":
            return []
        whole = [one for one in checkpoints if one.complete]
        wanted = set[int]()
        if "last" in self.policy:
            lasts = [one for one in whole if one.facts["last"] is not False] or whole
            wanted |= {one.number for one in lasts[-1:]} | {one.number for one in checkpoints[-1:] if not one.complete}
        if "best" in self.policy:
            wanted |= self._best_of(whole, self.keep)
        return [one for one in checkpoints if one.number not in wanted]

    def _best_of(self, checkpoints: list[_Checkpoint], most: int) -> set[int]:
        return {one.number for group in _rankings(checkpoints) for one in group[:most]}

    def _mark(self, newest: _Checkpoint) -> None:
        """Update the marks best and last of the stored checkpoints, and record changed marks of older ones."""
        whole = [one for one in self._kept if one.complete]
        best = self._best_of(whole, 1)
        last = {one.number for one in ([one for one in whole if one.facts["last"] is not False] or whole)[-1:]}
        for one in self._kept:
            before = one.is_best, one.is_last
            one.is_best = one.number in best if self.policy != "last" else bool(one.facts["best"])
            one.is_last = one.number in last if self.policy != "best" else bool(one.facts["last"])
            if one is not newest and before != (one.is_best, one.is_last):
                for file in one.files:
                    self._emit(one, file)

    def _hold(self, checkpoint: _Checkpoint, kept: blobs.Kept) -> None:
        holders = self._holders.setdefault(kept.digest, set())
        if not holders:
            self._count(kept.size)
            self._blobs[kept.digest] = kept
        holders.add(checkpoint.number)

    def _drop(self, checkpoint: _Checkpoint, kept: blobs.Kept) -> None:
        """Release a blob; once no checkpoint uses it, it is deleted if it was created here."""
        holders = self._holders.get(kept.digest, set())
        holders.discard(checkpoint.number)
        if not holders and self._holders.pop(kept.digest, None) is not None:
            self._count(-kept.size)
            kept = self._blobs.pop(kept.digest, kept)
            if kept.is_new:
                blobs.free(self._owner.place.blobs, kept.digest, kept.stamp)

    def _release(self, checkpoint: _Checkpoint, reason: str) -> None:
        for file in checkpoint.files:
            kept, file.kept = file.kept, None
            if kept is not None:
                file.reason = reason
                self._emit(checkpoint, file, digest=kept.digest)
                self._drop(checkpoint, kept)

    def _count(self, size: int) -> None:
        self._owner.model_bytes[self._training.id] += size

    def _freed_by(self, checkpoints: list[_Checkpoint]) -> int:
        numbers = {one.number for one in checkpoints}
        sizes = {file.kept.digest: file.kept.size for one in checkpoints for file in one.files if file.kept is not None}
        return sum(size for digest, size in sizes.items() if self._holders.get(digest, set()) <= numbers)

    def _emit(self, checkpoint: _Checkpoint, file: _File, *, first: bool = False, digest: str = "") -> None:
        kept = file.kept
        facts = {key: value for key, value in checkpoint.facts.items() if value is not None}
        if kept is not None:
            facts.update(best=checkpoint.is_best, last=checkpoint.is_last)
        else:
            facts["reason"] = file.reason
        training = self._training
        training.emit(
            Artifact(
                run=training.id, time=file.time if first else time.time(), training=training.number, name=file.name,
                digest=digest if kept is None else kept.digest, size=file.size if kept is None else kept.size,
                kind="checkpoint", step=checkpoint.facts["step"], source=_text(str(file.path)), stored=kept is not None,
                meta={**facts, "checkpoint": checkpoint.name}, replaces=None if first else file.time,
            )
        )  # fmt: skip

    def _miss(self, reason: str, what: str, count: int = 1) -> None:
        """Report the first loss for each reason at once; `_report_all` reports the count of further ones at the end."""
        if reason not in self._missed:
            self._training.report("checkpoint", f"{what}: {reason}")
        self._missed[reason] = self._missed.get(reason, 0) + count

    def _report_all(self) -> None:
        for reason, count in self._missed.items():
            if count > 1:
                self._training.report("checkpoint", f"{count - 1:,} more: {reason}", count=count - 1)
        kept = len(self._kept)
        self._training.report(
            "capture", f"checkpoints: {self._seen:,} seen, {kept:,} kept (checkpoints={self.policy!r})", level="info"
        )


def _files(path: Path) -> list[tuple[str, Path]]:
    """The file `path`, or the files in the folder `path`, each with its name, which starts with that of `path`."""
    if not path.is_dir():
        return [(path.name, path)]
    return [(f"{path.name}/{inner.relative_to(path).as_posix()}", inner) for inner in _walk(path)]


def _walk(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(base, name)


def _text(path: str) -> str:
    """A path as valid Unicode, with undecodable bytes escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _looks(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _gone(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "gone before it could be copied"
    return f"not copied: {error.strerror or error}"


def _ranked(score: float | None) -> float | None:
    """A score as a float for ranking; None for NaN or no score."""
    return None if score is None or math.isnan(score) else float(score)


def _rankings(checkpoints: list[_Checkpoint]) -> Iterator[list[_Checkpoint]]:
    """The checkpoints per monitored metric, best first: by score and `mode`, else those marked best, latest first."""
    groups: dict[Any, list[_Checkpoint]] = {}
    for one in checkpoints:
        groups.setdefault(one.facts["monitor"], []).append(one)
    for group in groups.values():
        ranked = [one for one in group if one.mode in {"min", "max"} and one.score is not None]
        if ranked:
            yield sorted(ranked, key=lambda one: one.score or 0.0, reverse=ranked[-1].mode == "max")
        else:
            called = [one for one in reversed(group) if one.facts["best"]]
            if called:
                yield called
