"""The monitor, watching real processes and the stand-in GPUs."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from autotrack.environment import monitor as monitor_module
from autotrack.environment.monitor import Monitor

LEVELS = {"system/memory.used", "system/memory.percent", "system/disk.free", "system/process.memory"}
RATES = {"system/cpu.utilization", "system/process.cpu", "system/network.sent", "system/network.received"}
WATCH = """
import json, sys, threading
from autotrack.environment.monitor import Monitor

reports, samples, enough = [], [], threading.Event()

def emit(values):
    samples.append(values)
    if len(samples) == 3:
        enough.set()

monitor = Monitor(emit, 0.05, report=lambda what, error: reports.append([what, str(error)]))
monitor.start()
assert enough.wait(200)
monitor.stop()
print(json.dumps([samples, reports]))
"""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a sample may take its time, and `stop` waits for it."""
    monkeypatch.setattr(monitor_module, "_PATIENCE", 170.0)


@pytest.fixture
def samples() -> queue.Queue[dict[str, float]]:
    """What a monitor emits."""
    return queue.Queue()


@pytest.fixture
def monitor(samples: queue.Queue[dict[str, float]]) -> Iterator[Monitor]:
    """A monitor in a hurry, stopped at the end."""
    made = Monitor(samples.put, 0.05)
    yield made
    made.stop()


def watched(driver: Path, **environment: str) -> tuple[list[dict[str, float]], list[list[str]]]:
    """Samples and reports of a process that finds the stand-in driver."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH],
        env={**os.environ, "LD_LIBRARY_PATH": str(driver), **environment}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    samples, reports = json.loads(done.stdout)
    return samples, reports


def test_first_sample_comes_at_once(samples: queue.Queue[dict[str, float]]) -> None:
    """However long the interval, there is a sample of the start; rates need a second one."""
    patient = Monitor(samples.put, 3600)
    patient.start()
    first = samples.get(timeout=200)
    patient.stop()
    assert set(first) >= LEVELS
    assert not set(first) & RATES
    assert first["system/process.count"] >= 1


def test_samples_begin_when_they_are_wanted(samples: queue.Queue[dict[str, float]]) -> None:
    """Before, there is none; the first comes without waiting for the interval, and none at all if it is stopped."""
    answers = iter([False, True])
    patient = Monitor(samples.put, 3600, wanted=lambda: next(answers))
    patient.start()
    assert samples.get(timeout=200).keys() >= LEVELS
    patient.stop()
    assert next(answers, None) is None
    samples, asked = queue.Queue(), threading.Event()
    never = Monitor(samples.put, 3600, wanted=lambda: bool(asked.set()))
    never.start()
    assert asked.wait(200)
    never.stop()
    assert samples.empty()


def test_values_are_of_this_machine(monitor: Monitor, samples: queue.Queue[dict[str, float]]) -> None:
    """Everything is there from the second sample on, in its unit."""
    monitor.start()
    samples.get(timeout=200)
    values = samples.get(timeout=200)
    assert set(values) >= LEVELS | RATES
    assert all(type(value) is float for value in values.values())
    assert 0 <= values["system/cpu.utilization"] <= 100
    assert 0 < values["system/memory.percent"] <= 100
    assert values["system/process.memory"] > 1 << 20


def test_every_key_is_in_the_table(monitor: Monitor, samples: queue.Queue[dict[str, float]]) -> None:
    """The module's table names each metric that is emitted."""
    monitor.start()
    keys = set(samples.get(timeout=200)) | set(samples.get(timeout=200))
    table = monitor_module.__doc__ or ""
    for key in keys:
        family, _, last = key.rpartition(".")
        assert f"`{key}`" in table or (f"`{family}." in table and f"`.{last}`" in table), key


def test_children_count(script: Any) -> None:
    """Processor time and memory of a child, and of its child, are part of the process's, which has no others here."""
    done = script(
        """
        import json, queue, subprocess, sys
        from autotrack.environment.monitor import Monitor

        source = "import sys; block = bytearray(200 << 20); print('ready', flush=True); sys.stdin.read()"
        nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {source!r}])"
        samples = queue.Queue()
        monitor = Monitor(samples.put, 0.05)
        monitor.start()
        before = samples.get()
        with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            while not samples.empty():
                samples.get()
            samples.get()  # may have been begun before
            during = samples.get()
            child.communicate()
        monitor.stop()
        print(json.dumps([before, during]))
        """
    )
    before, during = json.loads(done.stdout)
    assert during["system/process.count"] >= before["system/process.count"] + 2
    assert during["system/process.memory"] > before["system/process.memory"] + (200 << 20)


def test_busy_process_shows(monitor: Monitor, samples: queue.Queue[dict[str, float]]) -> None:
    """Computing for some samples is seen as processor time of the process, as soon as it gets some."""
    monitor.start()
    seen = 0.0
    while seen <= 5:
        sum(number * number for number in range(200_000))
        while not samples.empty():
            seen = max(seen, samples.get().get("system/process.cpu", 0.0))


def test_stop_means_stop(monitor: Monitor, samples: queue.Queue[dict[str, float]]) -> None:
    """After `stop` returns nothing is emitted and no thread is left; starting and stopping twice is harmless."""
    monitor.start()
    monitor.start()
    assert sum(thread.name == "autotrack-monitor" for thread in threading.enumerate()) == 1
    samples.get(timeout=200)
    monitor.stop()
    monitor.stop()
    assert not any(thread.name == "autotrack-monitor" for thread in threading.enumerate())


def test_last_sample_at_the_end(samples: queue.Queue[dict[str, float]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run shorter than the interval still gets rates: `stop` takes one more sample, 0.6 s after the first."""
    moments, asked = iter([0.0, 0.6]), threading.Event()

    def monotonic() -> float:
        asked.set()
        return next(moments)

    monkeypatch.setattr(monitor_module, "time", SimpleNamespace(monotonic=monotonic))
    patient = Monitor(samples.put, 3600)
    patient.start()
    assert asked.wait(200)  # the time of the first sample is known
    counted = sum(psutil.cpu_times())
    while sum(psutil.cpu_times()) <= counted:  # as long as nothing more was counted, there are no rates
        time.sleep(0.01)
    patient.stop()
    samples.get_nowait()
    assert set(samples.get_nowait()) >= RATES


def test_gpus(driver: Path) -> None:
    """Each GPU has its readings; what a GPU does not support is left out without a word."""
    samples, reports = watched(driver)
    for values in samples:
        assert values["system/gpu.0.utilization"] == 90
        assert values["system/gpu.0.memory_used"] == 8 << 30
        assert values["system/gpu.0.memory_percent"] == 10
        assert values["system/gpu.0.power"] == 350.5
        assert values["system/gpu.0.temperature"] == 60
        assert values["system/gpu.1.utilization"] == 91
        assert values["system/gpu.1.temperature"] == 61
        assert "system/gpu.1.power" not in values
    assert reports == []


@pytest.mark.parametrize(
    ("call", "lost"),
    [
        ("utilization", {"utilization"}),
        ("memory", {"memory_used", "memory_percent"}),
        ("temperature", {"temperature"}),
        ("handle", {"utilization", "memory_used", "memory_percent", "temperature"}),
    ],
)
def test_failing_reading_loses_no_other(driver: Path, call: str, lost: set[str]) -> None:
    """What fails on the second GPU is missing there alone, and is reported once, not at every sample."""
    samples, reports = watched(driver, NVML_FAILS=call)
    names = {"utilization", "memory_used", "memory_percent", "temperature"}
    for values in samples:
        assert set(values) >= LEVELS
        assert {name for name in names if f"system/gpu.0.{name}" in values} == names
        assert {name for name in names if f"system/gpu.1.{name}" in values} == names - lost
    assert reports
    assert len({what for what, _ in reports}) == len(reports)
    assert all("GPU 1" in what and error == "Unknown Error" for what, error in reports if call != "handle")


def test_driver_that_does_not_answer(driver: Path) -> None:
    """Without the GPUs the machine is still watched, and the reason is reported."""
    samples, reports = watched(driver, NVML_FAILS="init")
    assert set(samples[0]) >= LEVELS
    assert reports == [["reading the GPUs", "NVIDIA's driver does not answer: Driver Not Loaded"]]


def test_vanished_folder_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: queue.Queue[dict[str, float]]
) -> None:
    """When the current folder is deleted, one reading fails and all others go on."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    reports: list[str] = []
    watcher = Monitor(samples.put, 0.05, report=lambda what, error: reports.append(what))
    watcher.start()
    seen = [samples.get(timeout=200) for _ in range(3)]
    watcher.stop()
    assert reports == ["reading the file system"]
    assert all(set(values) >= LEVELS - {"system/disk.free"} for values in seen)


@pytest.mark.swallows
def test_failing_emit_is_swallowed(guard_failures: list[Any]) -> None:
    """A monitor whose samples cannot be recorded ends quietly."""

    called = threading.Event()

    def emit(values: dict[str, float]) -> None:
        called.set()
        raise RuntimeError("no run is open")

    def watch() -> None:
        failing = Monitor(emit, 0.05)
        failing.start()
        assert called.wait(200)
        failing.stop()

    with pytest.warns(UserWarning, match="watching the machine"):
        watch()
    assert [what for what, _ in guard_failures] == ["watching the machine"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_watching(script: Any) -> None:
    """A forked child runs nothing of the monitor, may stop it without hanging, and may have one of its own."""
    done = script(
        """
        import os, signal, threading
        from autotrack.environment import imports
        from autotrack.environment.monitor import Monitor

        imports._PATIENCE = 170.0
        parent = os.getpid()
        pids, seen = set(), threading.Event()

        def emit(values):
            pids.add(os.getpid())
            seen.set()

        monitor = Monitor(emit, 0.05)
        monitor.start()
        for _ in range(20):          # in every phase of the monitor: importing, sampling, waiting
            child = os.fork()
            if child == 0:
                signal.alarm(200)
                pids.clear(), seen.clear()
                assert threading.active_count() == 1
                monitor.stop()
                import psutil, pynvml, ctypes
                own = Monitor(emit, 0.05)
                own.start()
                assert seen.wait(150)
                own.stop()
                os._exit(0 if pids == {os.getpid()} else 1)
            assert os.waitpid(child, 0)[1] == 0
        seen.clear()
        assert seen.wait(150)
        monitor.stop()
        print("children are well", pids == {parent})
        """
    )
    assert done.stdout.strip() == "children are well True"
