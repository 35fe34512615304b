"""What is recorded of the machine, with and without a driver for GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from autotrack.environment import hardware

GATHER = """
import json
from autotrack.environment import hardware
facts = hardware.gather({limit})
print(json.dumps([facts.data, list(facts.missing)]))
"""


def gathered(driver: Path | None, limit: float = 170.0, **environment: str) -> tuple[dict[str, Any], list[str]]:
    """Data and what is missing, gathered by a process of its own that finds `driver`."""
    if driver is not None:
        environment["LD_LIBRARY_PATH"] = str(driver)
    done = subprocess.run(
        [sys.executable, "-c", GATHER.format(limit=limit)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    data, missing = json.loads(done.stdout)
    return data, missing


def test_processors_and_memory() -> None:
    """The facts are what the machine says of itself."""
    data = hardware.gather().data
    assert data["cpu"]
    assert data["cores"] == os.cpu_count()
    assert data["memory"] == psutil.virtual_memory().total
    if sys.platform == "linux":
        assert data["cpu"] in Path("/proc/cpuinfo").read_text() + os.uname().machine
        assert data["usable_cores"] == len(os.sched_getaffinity(0))


def test_two_gpus(driver: Path) -> None:
    """Names, memory, identity of each GPU, and the versions of driver and CUDA."""
    data, missing = gathered(driver)
    assert data["gpu"] == "Stand-in H100, Stand-in B200"
    assert data["gpus"] == [
        {"index": 0, "name": "Stand-in H100", "memory": 80 << 30, "uuid": "GPU-00000000"},
        {"index": 1, "name": "Stand-in B200", "memory": 80 << 30, "uuid": "GPU-00000001"},
    ]
    assert data["driver"] == "550.54.15"
    assert data["cuda"] == "12.4"
    assert missing == []


@pytest.mark.parametrize("call", ["name", "memory", "uuid"])
def test_failing_call_loses_one_fact(driver: Path, call: str) -> None:
    """A call that fails for the second GPU costs that fact of that GPU, and is named."""
    data, missing = gathered(driver, NVML_FAILS=call)
    assert data["gpus"][0] == {"index": 0, "name": "Stand-in H100", "memory": 80 << 30, "uuid": "GPU-00000000"}
    assert set(data["gpus"][1]) == {"index", "name", "memory", "uuid"} - {call}
    assert data["cuda"] == "12.4"
    assert missing == [f"NVIDIA's driver does not tell GPU 1's {call}: Unknown Error"]


def test_gpu_that_is_lost(driver: Path) -> None:
    """A GPU that does not answer at all is still counted, and the other one is described."""
    data, missing = gathered(driver, NVML_FAILS="handle")
    assert data["gpu"] == "Stand-in H100"
    assert data["gpus"][1] == {"index": 1}
    assert "GPU 1" in missing[0]


def test_failing_version(driver: Path) -> None:
    """A version that cannot be read leaves the GPUs described."""
    data, missing = gathered(driver, NVML_FAILS="cuda")
    assert "cuda" not in data
    assert len(data["gpus"]) == 2
    assert "CUDA version" in missing[0]


def test_library_without_a_driver(driver: Path) -> None:
    """In an image with the library on a machine without the driver, the rest of the machine is known."""
    data, missing = gathered(driver, NVML_FAILS="init")
    assert data["memory"]
    assert "gpus" not in data
    assert missing == ["NVIDIA's driver does not answer: Driver Not Loaded"]


def test_driver_that_hangs(driver: Path) -> None:
    """A driver that never answers costs the GPUs, not the processors and the memory."""
    data, missing = gathered(driver, limit=1.0, NVML_HANGS="1")
    assert data["memory"]
    assert missing == ["asking the GPUs took longer than 0.8 s"]


@pytest.mark.skipif(hardware.has_driver(), reason="this machine has a driver of its own")
def test_machine_without_gpus() -> None:
    """Without a driver there are no GPUs, nothing is missing, and NVIDIA's bindings are not even imported."""
    code = "from autotrack.environment.hardware import *; print(gather().missing, 'pynvml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "() False"
