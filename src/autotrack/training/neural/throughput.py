"""Throughput of a training, and the time that autotrack itself takes on the training thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrack.recording.recorder import Recorder

_now = time.perf_counter


class Throughput:
    """Counts steps, samples and tokens, and returns their rates per second; one per training, on its thread."""

    __slots__ = ("_epoch", "_samples", "_since", "_steps", "_tokens")

    def __init__(self) -> None:
        self._since = self._epoch = _now()
        self._steps = 0
        self._samples = 0.0
        self._tokens = 0.0

    def step(self, samples: float = 0, tokens: float = 0, steps: int = 1) -> None:
        """Count `steps` finished steps, with their samples and tokens if known."""
        self._steps += steps
        self._samples += samples
        self._tokens += tokens

    def rates(self) -> dict[str, float]:
        """`train/steps_per_second`, and the rates of samples and tokens if known, since the last call or `restart`.

        Empty if no step was counted since.
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
        """Seconds since counting began, at creation, the last `restart` or the last call of `rates` with a result."""
        return _now() - self._since

    def restart(self) -> None:
        """Reset the counters and the clock, for example after a validation, whose time is not training."""
        self._since = _now()
        self._steps = 0
        self._samples = self._tokens = 0.0

    def begin_epoch(self) -> None:
        """Start the clock of an epoch."""
        self._epoch = _now()

    def end_epoch(self) -> dict[str, float]:
        """`train/epoch_time`: the seconds since `begin_epoch`, or since the end of the previous epoch."""
        begun, self._epoch = self._epoch, _now()
        return {"train/epoch_time": self._epoch - begun}


class Stopwatch:
    """Measures the seconds that autotrack spends on the training thread: `with stopwatch:` around each hook.

    Blocks may be nested; only the outermost is counted. To be used by one thread.
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
    """Add a line to the capture report at the end of a training: active hooks, counts of seen and skipped facts, time.

    `seen` and `skipped` are counts by name (`{"steps": 120, "checkpoints": 3}`); those that are 0 are left out.
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
