"""Samples of the machine's metrics: each consists of readings that may fail independently."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import psutil

from autotrack.environment.cgroup import find_cgroup
from autotrack.environment.facts import Unavailable
from autotrack.environment.nvml import has_driver, open_nvml

Values = dict[str, float]
Reading = Callable[["Rates"], Values]


class Rates:
    """Turns cumulative counters into their growth, in total or per second, since the previous sample."""

    def __init__(self) -> None:
        self._before: dict[str, float] = {}
        self._now: dict[str, float] = {}
        self._last = self._time = time.monotonic()

    def begin(self) -> None:
        """Start a new sample; the counts of the last one become the basis of comparison."""
        self._before, self._now = self._before | self._now, {}
        self._last, self._time = self._time, time.monotonic()

    def growth(self, name: str, count: float) -> float | None:
        """Record `count` for the counter `name` and return its growth since the previous sample; None in the first."""
        self._now[name] = count
        before = self._before.get(name)
        return None if before is None else max(0.0, count - before)

    def per_second(self, **counts: float) -> Values:
        """The growth per second of each of `counts`; empty in the first sample."""
        elapsed = self._time - self._last
        growths = {name: self.growth(name, count) for name, count in counts.items()}
        return {name: growth / elapsed for name, growth in growths.items() if growth is not None and elapsed > 0}


class Sampler:
    """Samples the machine, this process with its descendants, the container and the GPUs.

    `report` is called once for each reading that fails. A context manager, for use by one thread.
    """

    def __init__(self, report: Callable[[str, BaseException], None]) -> None:
        self._report = report
        self._reported: set[str] = set()
        self._rates = Rates()
        self._nvml: ModuleType | None = None
        self._errors: tuple[type[BaseException], ...] = (
            OSError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, Unavailable, psutil.Error,
        )  # fmt: skip
        self._readings: dict[str, Reading] = {
            "the processors": _cpu, "the memory": _memory, "the disks": _disk, "the file system": _file_system,
            "the network": _network, "the process": ProcessTree().read, "the container": _container(),
        }  # fmt: skip

    def __enter__(self) -> Sampler:
        if has_driver():
            try:
                self._nvml = open_nvml()
                self._errors = (*self._errors, self._nvml.NVMLError)
                self._readings |= _gpu_readings(self._nvml)
            except self._errors as error:
                self._fail("the GPUs", error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()

    def sample(self) -> Values:
        """Take all readings and return their values by full metric key; readings that fail are left out."""
        self._rates.begin()
        values: Values = {}
        for what, reading in self._readings.items():
            try:
                found = reading(self._rates)
            except self._errors as error:
                self._fail(what, error)
            else:
                values.update({f"system/{name}": float(value) for name, value in found.items()})
        return values

    def _fail(self, what: str, error: BaseException) -> None:
        if what not in self._reported:
            self._reported.add(what)
            self._report(f"reading {what}", error)


class ProcessTree:
    """This process and its living descendants."""

    def __init__(self) -> None:
        self._root = psutil.Process()
        self._known: dict[int, psutil.Process] = {}

    def read(self, rates: Rates) -> Values:
        """Return the summed memory of the processes, their number, and their rates of processor time and disk I/O."""
        seconds = memory = read = written = 0.0
        members = [self._root, *self._descendants()]
        count = 0
        for member in members:
            try:
                with member.oneshot():
                    seconds += sum(member.cpu_times()[:4])
                    memory += member.memory_info().rss
                    count += 1
                    counters = member.io_counters() if hasattr(member, "io_counters") else None
            except psutil.Error:
                continue
            if counters:
                read += counters.read_bytes
                written += counters.write_bytes
        values: Values = {"process.memory": memory, "process.count": count}
        grown = rates.per_second(**{"process.cpu": seconds, "process.disk.read": read, "process.disk.write": written})
        if "process.cpu" in grown:
            grown["process.cpu"] *= 100
        return values | grown

    def _descendants(self) -> Iterable[Any]:
        pids = _descendants(os.getpid()) if sys.platform == "linux" else None
        if pids is None:
            return list(self._root.children(recursive=True))
        self._known = {pid: process for pid in pids if (process := self._known.get(pid) or _process(pid))}
        return self._known.values()


def _process(pid: int) -> Any:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _descendants(pid: int) -> list[int] | None:
    """The ids of all descendants of `pid`, without a scan of all processes; None if the kernel lists no children."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        return None
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for listing in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = [int(child) for child in listing.read_text().split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found


def _cpu(rates: Rates) -> Values:
    times = psutil.cpu_times()._asdict()
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    idle = times["idle"] + times.get("iowait", 0.0)
    grown, rested = rates.growth("cpu.total", total), rates.growth("cpu.idle", idle)
    if not grown or rested is None:
        return {}
    return {"cpu.utilization": min(100.0, max(0.0, 100 * (1 - rested / grown)))}


def _memory(_: Rates) -> Values:
    memory = psutil.virtual_memory()
    return {"memory.used": memory.total - memory.available, "memory.percent": memory.percent}


def _disk(rates: Rates) -> Values:
    counters = psutil.disk_io_counters(nowrap=False)
    if counters is None:
        return {}
    return rates.per_second(**{"disk.read": counters.read_bytes, "disk.write": counters.write_bytes})


def _file_system(_: Rates) -> Values:
    return {"disk.free": psutil.disk_usage(os.getcwd()).free}


def _network(rates: Rates) -> Values:
    counters = [
        counted
        for name, counted in psutil.net_io_counters(pernic=True, nowrap=False).items()
        if name != "lo" and not name.startswith("lo0")
    ]
    sent, received = sum(c.bytes_sent for c in counters), sum(c.bytes_recv for c in counters)
    return rates.per_second(**{"network.sent": sent, "network.received": received})


def _container() -> Reading:
    group = find_cgroup() if sys.platform == "linux" else None

    def read(rates: Rates) -> Values:
        values: Values = {}
        used = group.memory_used() if group is not None else None
        if group is not None and group.memory and used is not None:
            values = {"container.memory_used": used, "container.memory_percent": 100 * used / group.memory}
        seconds = group.cpu_seconds() if group is not None else None
        if group is not None and group.cpus and seconds is not None:
            grown = rates.per_second(**{"container.cpu": seconds})
            values |= {name: 100 * rate / group.cpus for name, rate in grown.items()}
        return values

    return read


def _gpu_readings(nvml: ModuleType) -> dict[str, Reading]:
    questions: dict[str, Callable[[Any], Values]] = {
        "utilization": lambda gpu: {"utilization": nvml.nvmlDeviceGetUtilizationRates(gpu).gpu},
        "memory": lambda gpu: _gpu_memory(nvml.nvmlDeviceGetMemoryInfo(gpu)),
        "power": lambda gpu: {"power": nvml.nvmlDeviceGetPowerUsage(gpu) / 1000},
        "temperature": lambda gpu: {"temperature": nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)},
    }
    return {
        f"GPU {index}'s {what}": partial(_gpu, nvml, index, question)
        for index in range(nvml.nvmlDeviceGetCount())
        for what, question in questions.items()
    }


def _gpu(nvml: ModuleType, index: int, question: Callable[[Any], Values], _: Rates) -> Values:
    try:
        answer = question(nvml.nvmlDeviceGetHandleByIndex(index))
    except nvml.NVMLError_NotSupported:
        return {}
    return {f"gpu.{index}.{name}": value for name, value in answer.items()}


def _gpu_memory(memory: Any) -> Values:
    return {"memory_used": memory.used, "memory_percent": 100 * memory.used / memory.total}
