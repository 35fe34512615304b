"""Periodic sampling of the machine and the process during a run.

Every value is recorded as a metric; which ones there are depends on the machine.

| key | unit | what |
|---|---|---|
| `system/cpu.utilization` | % of all processors | time the machine was busy |
| `system/memory.used`, `.percent` | bytes, % of all memory | memory that is not available for programs |
| `system/disk.read`, `.write` | bytes per second | of the machine's disks |
| `system/disk.free` | bytes | on the file system of the current folder |
| `system/network.sent`, `.received` | bytes per second | over all interfaces but the loopback |
| `system/process.cpu` | % of one processor | of this process and its descendants |
| `system/process.memory` | bytes | resident, the same processes; shared memory counts for each |
| `system/process.count` | processes | this process and its descendants |
| `system/process.disk.read`, `.write` | bytes per second | the same processes |
| `system/container.cpu` | % of the quota | of the control group, if its processor time is limited |
| `system/container.memory_used`, `.memory_percent` | bytes, % of the limit | the same, if its memory is limited |
| `system/gpu.N.utilization` | % | time that a kernel was running on GPU N |
| `system/gpu.N.memory_used`, `.memory_percent` | bytes, % | memory of GPU N in use by any process |
| `system/gpu.N.power` | watts | drawn by GPU N |
| `system/gpu.N.temperature` | °C | of GPU N |

GPUs are numbered as NVIDIA's driver does, whatever CUDA_VISIBLE_DEVICES says. Rates are means since the previous
sample; the first sample has none.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from autotrack._guard import guarded, report_failure
from autotrack.environment.imports import loading

_SHORTEST = 0.05
_WORTH_A_LAST_SAMPLE = 0.5
_UNWANTED_FOR = 0.25  # seconds between two looks at whether samples are wanted by now
_PATIENCE = 2.0


class Monitor:
    """Samples the machine once at the start, every `interval` seconds and when stopped, on a daemon thread.

    `emit` is called on that thread with the values of each sample. `wanted` is asked before the first one, which
    waits until it answers yes. A reading that fails is left out, and `report` is called for it once, with the name of
    the reading and the error. A forked child does not inherit the thread.
    """

    def __init__(
        self,
        emit: Callable[[dict[str, float]], None],
        interval: float,
        *,
        wanted: Callable[[], bool] = lambda: True,
        report: Callable[[str, BaseException], None] = report_failure,
    ) -> None:
        self._emit = emit
        self._wanted = wanted
        self._interval = max(interval, _SHORTEST)
        self._report = report
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Start the sampling thread; does nothing if it was started before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="autotrack-monitor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread, after a last sample if one is due, and wait briefly for it; no effect in a forked child."""
        if self._thread is None or self._pid != os.getpid():
            return
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        with guarded("watching the machine"):
            with loading():
                from autotrack.environment.sampler import Sampler

            while not self._wanted():
                if self._stopping.wait(_UNWANTED_FOR):
                    return
            with Sampler(self._report) as sampler:
                self._emit(sampler.sample())
                last = time.monotonic()
                while not self._stopping.wait(self._interval):
                    self._emit(sampler.sample())
                    last = time.monotonic()
                if time.monotonic() - last > _WORTH_A_LAST_SAMPLE:
                    self._emit(sampler.sample())
