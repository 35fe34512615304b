"""The closed set of facts that can be recorded, and how they are encoded.

Every fact is one `Event` on one run. Adding a kind of fact means adding a class here, once; journals, sinks and
the store dispatch on these classes. Encoding is MessagePack with a tag per class; unknown fields are ignored
when reading and missing ones take their default, so readers and writers of neighbouring versions are compatible.
`SCHEMA_VERSION` is incremented for changes that break this compatibility.

Units: `time` in seconds since the Unix epoch (UTC), sizes in bytes, durations in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SCHEMA_VERSION = 2

RunKind: TypeAlias = Literal["run", "job", "training", "search", "trial"]
FinalStatus: TypeAlias = Literal["finished", "failed", "killed", "preempted"]
Role: TypeAlias = Literal["train", "val", "test", "predict", "unknown"]
FileKind: TypeAlias = Literal["artifact", "checkpoint", "model", "source", "environment", "media", "dataset"]
MediaKind: TypeAlias = Literal["image", "figure", "audio", "table", "text", "histogram", "html"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """The base of all events: a fact about one run.

    `run` is the run's id. `training` numbers the training inside the run that the fact belongs to, 0 for facts
    of the run itself.
    """

    run: str
    time: float
    training: int = 0


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An exception: its type's qualified name, its message and the formatted traceback."""

    type: str
    message: str
    traceback: str = ""


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    """The first attempt of a run began, in the journal that owns the run from here on.

    `training` is the number of the training in the run `parent` that this run belongs to, for example for the trial of
    a search that is itself a training of an open run.
    """

    name: str
    experiment: str
    kind: RunKind = "run"
    parent: str | None = None
    user: str = ""
    host: str = ""
    pid: int = 0


class RunResumed(Event, frozen=True, kw_only=True, tag="run_resumed"):
    """A further attempt of a run began in the journal that holds this event; it owns the run from here on."""

    attempt: int
    user: str = ""
    host: str = ""
    pid: int = 0


class RunFinished(Event, frozen=True, kw_only=True, tag="run_finished"):
    """An attempt ended, as recorded by its own process."""

    status: FinalStatus
    attempt: int = 1
    failure: Failure | None = None
    exit_code: int | None = None


class RunRenamed(Event, frozen=True, kw_only=True, tag="run_renamed"):
    """The run was renamed."""

    name: str


class TrainingStarted(Event, frozen=True, kw_only=True, tag="training_started"):
    """Training number `training` began inside an open run; `name` is the estimator's or module's class."""

    name: str
    framework: str = ""
    kind: RunKind = "training"


class TrainingFinished(Event, frozen=True, kw_only=True, tag="training_finished"):
    """Training number `training` ended."""

    status: FinalStatus
    failure: Failure | None = None


class Params(Event, frozen=True, kw_only=True, tag="params"):
    """Values of parameters by flat dotted key, each as JSON text (with `NaN`, `Infinity` and ints of any size).

    A later value of the same key replaces the earlier one. `origin` is "set" for values that the user
    set, "default" for defaults of the framework, and "config" for those of a full configuration under `config.*`.
    """

    values: dict[str, str]
    origin: Literal["set", "default", "config"] = "set"


class Tags(Event, frozen=True, kw_only=True, tag="tags"):
    """Tags to set, or to remove where the value is None."""

    values: dict[str, str | None]


class Note(Event, frozen=True, kw_only=True, tag="note"):
    """A remark by a user, in Markdown."""

    text: str
    user: str = ""


class Section(Event, frozen=True, kw_only=True, tag="section"):
    """One section of a run's context: git, packages, hardware, process, scheduler, notebook, seeds, …

    `masked` lists the dotted paths inside `data` whose values were withheld. `unavailable` is the reason
    for missing data, in one sentence. `attempt` is the attempt that gathered the section. `digest` names the content,
    the same in all runs and journals; it may be empty, and `content_digest` computes it.
    """

    name: str
    data: dict[str, Any] = {}
    masked: list[str] = []
    unavailable: str | None = None
    attempt: int = 1
    digest: str = ""

    def content_digest(self) -> str:
        """The SHA-256, in 32 hex digits, of name, data, masked paths and reason; the order of keys does not matter."""
        import hashlib

        content = [self.name, self.data, self.masked, self.unavailable]
        return hashlib.sha256(_ordered_encoder.encode(content)).hexdigest()[:32]


class SharedSections(Event, frozen=True, kw_only=True, tag="shared_sections"):
    """The run has these sections, by name and digest, which other runs recorded earlier in the same journal.

    It stands in journals only: who reads a journal gets a `Section` for each.
    """

    digests: dict[str, str]
    attempt: int = 1


class Artifact(Event, frozen=True, kw_only=True, tag="artifact"):
    """A file of the run, stored as a blob or, when `stored` is False, recorded by size and digest only.

    `name` is its slash-separated name within the run; a later artifact of the same name is its next version.
    `digest` is the SHA-256 in hex, empty if the bytes could not be read. `source` is the path of the original file.
    `replaces` is the `time` of an earlier artifact of this name which this event updates, as the same version: its file
    has been copied meanwhile, or its bytes are no longer kept.
    """

    name: str
    digest: str
    size: int
    kind: FileKind = "artifact"
    media_type: str = ""
    step: int | None = None
    source: str = ""
    stored: bool = True
    meta: dict[str, Any] = {}
    replaces: float | None = None


class Media(Event, frozen=True, kw_only=True, tag="media"):
    """An image, figure, sound, table or text, logged under a `key` at a step; its bytes are the blob `digest`."""

    key: str
    kind: MediaKind
    digest: str
    size: int
    step: int | None = None
    media_type: str = ""
    meta: dict[str, Any] = {}


class Dataset(Event, frozen=True, kw_only=True, tag="dataset"):
    """Data that the run used: a fingerprint `digest` and a description, never the data itself.

    `meta` holds rows, columns, dtypes, names, class balance and whether the digest covers all or a sample.
    """

    name: str
    role: Role = "unknown"
    version: str = ""
    source: str = ""
    digest: str = ""
    meta: dict[str, Any] = {}


class Model(Event, frozen=True, kw_only=True, tag="model"):
    """A saved model. Its files are artifacts of kind "model" under `<name>/`; `digest` covers all of them.

    `meta` holds the signature, the packages it needs, whether loading runs code, and the class.
    """

    name: str
    flavor: str
    digest: str
    size: int
    stored: bool = True
    meta: dict[str, Any] = {}


class Console(Event, frozen=True, kw_only=True, tag="console"):
    """A piece of the program's output, cut at line ends."""

    stream: Literal["stdout", "stderr"]
    text: str


class Report(Event, frozen=True, kw_only=True, tag="report"):
    """A line of the capture report: something that was skipped, cut, withheld, lost or failed.

    `what` groups lines of one kind ("git", "model", "metric loss"), `count` is the number of facts concerned.
    `level` is "info" for remarks about the capture where nothing is missing.
    """

    what: str
    message: str
    level: Literal["info", "missing"] = "missing"
    count: int = 1


class Evaluation(Event, frozen=True, kw_only=True, tag="evaluation"):
    """A named result that is not one number: a confusion matrix, a curve, per-class scores, as a small table.

    `columns` maps a column's name to its values; all columns have the same length.
    """

    name: str
    columns: dict[str, list[Any]]
    meta: dict[str, Any] = {}


AnyEvent: TypeAlias = (
    RunStarted
    | RunResumed
    | RunFinished
    | RunRenamed
    | TrainingStarted
    | TrainingFinished
    | Params
    | Tags
    | Note
    | Section
    | Artifact
    | Media
    | Dataset
    | Model
    | Console
    | Report
    | Evaluation
)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A set of metric keys that are logged together: the header of the packed rows that refer to it.

    `types` has one letter per key: "d" for a float64, "q" for an int64.
    """

    run: str
    keys: tuple[str, ...]
    types: str
    training: int = 0


@dataclass(frozen=True)
class MetricRows:
    """Rows of one `Frame` in the order in which they were logged.

    All arrays have the shape (rows,): `steps` int64, `times` float64 seconds since the epoch, and in `values` one array
    per key, float64 or int64.
    """

    frame: Frame
    steps: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    values: tuple[npt.NDArray[Any], ...]

    @property
    def run(self) -> str:
        """The id of the run that the rows belong to."""
        return self.frame.run


_encoder = msgspec.msgpack.Encoder()
_ordered_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder: msgspec.msgpack.Decoder[AnyEvent | SharedSections] = msgspec.msgpack.Decoder(AnyEvent | SharedSections)
_frame_decoder = msgspec.msgpack.Decoder(Frame)


def encode(event: Event | Frame) -> bytes:
    """The event as MessagePack; `TypeError` or `OverflowError` for a value that MessagePack cannot hold."""
    return _encoder.encode(event)


def decode(data: bytes | memoryview) -> AnyEvent | SharedSections:
    """The event that `encode` made; `msgspec.DecodeError` for anything else."""
    return _decoder.decode(data)


def decode_frame(data: bytes | memoryview) -> Frame:
    """The frame that `encode` made; `msgspec.DecodeError` for anything else."""
    return _frame_decoder.decode(data)
