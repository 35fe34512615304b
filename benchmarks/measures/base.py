"""What a measurement is, and where its steps run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks.harness import run_step
from benchmarks.trackers.base import NotOffered
from benchmarks.trackers.registry import tracker_class

Figures = dict[str, float]


@dataclass(frozen=True)
class Column:
    """A figure of the table: its heading with the unit, autotrack's target if it has one, and which way is good."""

    title: str
    target: float | None = None
    better: Literal["less", "more"] = "less"
    digits: int = 1


@dataclass(frozen=True)
class Bench:
    """One turn of one tracker: a folder of its own and the means to run steps there in fresh processes."""

    tracker: str
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What the tracker's processes find in their environment beyond the harness's own."""
        return tracker_class(self.tracker).environment | self.extra

    def step(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Run `module:function` of the measures in a fresh process and return its answer."""
        answer = run_step(function, self.tracker, self.folder, self.environment, arguments).answer
        if "not_offered" in answer:
            raise NotOffered(answer["not_offered"])
        return answer


class Measure(ABC):
    """One section of the table.

    `turn` is one measurement of one tracker. With `shared` the folder is filled once by `prepare` and used by every
    turn; otherwise each turn has a new one. `full` and `quick` are the sizes of either kind of run.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[dict[str, Column]]
    full: ClassVar[dict[str, Any]]
    quick: ClassVar[dict[str, Any]]
    trackers: ClassVar[tuple[str, ...]]
    rounds: ClassVar[tuple[int, int]] = (3, 1)
    shared: ClassVar[bool] = False
    note: ClassVar[str] = ""

    def __init__(self, *, quick: bool = False) -> None:
        self.is_quick = quick
        self.size: dict[str, Any] = self.quick if quick else self.full
        self.repeats = self.rounds[1 if quick else 0]

    @property
    def heading(self) -> str:
        """The title; a quick run says that its sizes are others."""
        sizes = ", ".join(f"{name} {size}" for name, size in self.size.items())
        return f"{self.title} [quick: {sizes or 'fewer turns'}]" if self.is_quick else self.title

    def prepare(self, bench: Bench) -> None:
        """Fill the shared folder."""
        return

    @abstractmethod
    def turn(self, bench: Bench) -> Figures:
        """Measure once; a figure per column, and more for the JSON file."""
