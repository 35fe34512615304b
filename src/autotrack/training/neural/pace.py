"""How fast a training goes, and how much of its time is ours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrack.recording.recorder import Recorder

_now = time.perf_counter


class Pace:
    """Counts steps and tells the rates since it was last asked; one per training, on its thread."""

    __slots__ = ("_epoch", "_samples", "_since", "_steps", "_tokens")

    def __init__(self) -> None:
        self._since = self._epoch = _now()
        self._steps = 0
        self._samples = 0.0
        self._tokens = 0.0

    def step(self, samples: float = 0, tokens: float = 0, steps: int = 1) -> None:
        """Note that `steps` steps have been done, with so many samples and tokens, where these are known."""
        self._steps += steps
        self._samples += samples
        self._tokens += tokens

    def rates(self) -> dict[str, float]:
        """`train/steps_per_second`, and those of samples and tokens if they are known, since the last call.

        Nothing if no step has been done since.
        """
        now = _now()
        seconds = now - self._since
        if not self._steps or seconds <= 0:
            return {}
        rates = {"train/steps_per_second": self._steps / seconds}
        if self._samples:
            rates["train/samples_per_second"] = self._samples / seconds
        if self._tokens:
            rates["train/tokens_per_second"] = self._tokens / seconds
        self.restart()
        return rates

    @property
    def seconds(self) -> float:
        """How long it counts already."""
        return _now() - self._since

    def restart(self) -> None:
        """Count from now: what came before, such as a validation, is not training."""
        self._since = _now()
        self._steps = 0
        self._samples = self._tokens = 0.0

    def begin_epoch(self) -> None:
        """An epoch begins now."""
        self._epoch = _now()

    def end_epoch(self) -> dict[str, float]:
        """`train/epoch_time` in seconds since `begin_epoch`, or since the last epoch's end."""
        begun, self._epoch = self._epoch, _now()
        return {"train/epoch_time": self._epoch - begun}


class Stopwatch:
    """The seconds that autotrack spends on the training thread: `with stopwatch:` around each hook.

    Blocks may be nested; only the outermost counts. It belongs to one thread.
    """

    __slots__ = ("_begun", "_depth", "calls", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0
        self._begun = 0.0
        self._depth = 0

    def __enter__(self) -> Stopwatch:
        if not self._depth:
            self._begun = _now()
        self._depth += 1
        return self

    def __exit__(self, *_error: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.seconds += _now() - self._begun
            self.calls += 1


def report_capture(
    training: Recorder,
    framework: str,
    *,
    hooks: Sequence[str],
    stopwatch: Stopwatch,
    seen: dict[str, Any] | None = None,
    skipped: dict[str, Any] | None = None,
) -> None:
    """Say at the end of a training how it was captured: the hooks that were active, what was seen and what was skipped.

    `seen` and `skipped` count facts by name (`{"steps": 120, "checkpoints": 3}`); what is 0 is not mentioned.
    """
    parts = [f"{framework}: hooks {', '.join(hooks) or 'none'}"]
    for word, counts in (("seen", seen), ("skipped", skipped)):
        named = [
            f"{count:,} {name}" if isinstance(count, int) else f"{name}: {count}"
            for name, count in (counts or {}).items()
            if count
        ]
        if named:
            parts.append(f"{word} {', '.join(named)}")
    parts.append(f"{stopwatch.seconds:.3f} s inside autotrack on the training thread in {stopwatch.calls:,} calls")
    training.report("capture", "; ".join(parts), level="info")
