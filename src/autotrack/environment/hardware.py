"""The machine's processors, memory and GPUs, and the limits on this process's use of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from autotrack.environment.cgroup import find_cgroup
from autotrack.environment.facts import Facts, Unavailable, within
from autotrack.environment.imports import loading
from autotrack.environment.nvml import has_driver, open_nvml


def gather(limit: float = 10.0) -> Facts:
    """Return the processors, memory, GPUs and control group limits of the machine; sizes in bytes.

    `cpu` is the model's name, `cores` counts logical processors, `usable_cores` those that this process may run on,
    `gpu` holds the GPUs' names joined by commas. Values that the driver does not report are named in `missing`;
    `limit` is the time, in seconds, that the GPUs' driver may take.
    """
    with loading():
        import psutil

    data: dict[str, Any] = {
        "cpu": cpu_model(),
        "cores": psutil.cpu_count(),
        "physical_cores": psutil.cpu_count(logical=False),
        "usable_cores": _usable_cores(),
        "memory": psutil.virtual_memory().total,
    }
    group = find_cgroup()
    if group is not None and (group.cpus or group.memory):
        limits = {"cpus": group.cpus, "memory": group.memory}
        data["cgroup"] = {name: value for name, value in limits.items() if value is not None}
    missing: list[str] = []
    if has_driver():
        try:
            found, missing = within(limit * 0.8, "asking the GPUs", _gpus)
            data.update(found)
        except Unavailable as reason:
            missing = [str(reason)]
    return Facts({name: value for name, value in data.items() if value is not None}, missing=tuple(missing))


def cpu_model() -> str:
    """The processor's name, else its architecture."""
    if sys.platform == "linux":
        for line in _first_lines(Path("/proc/cpuinfo")):
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model", "cpu model"} and value.strip():
                return value.strip()
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or os.uname().machine
    if sys.platform == "win32":
        return os.environ.get("PROCESSOR_IDENTIFIER", "")
    return os.uname().machine


def _gpus() -> tuple[dict[str, Any], list[str]]:
    nvml = open_nvml()
    missing: list[str] = []

    def ask(what: str, question: Callable[[], Any]) -> Any:
        try:
            answer = question()
        except nvml.NVMLError as error:
            missing.append(f"NVIDIA's driver does not tell {what}: {error}")
            return None
        return answer.decode(errors="replace") if isinstance(answer, bytes) else answer

    try:
        count = ask("how many GPUs there are", nvml.nvmlDeviceGetCount) or 0
        gpus = [_gpu(nvml, index, ask) for index in range(count)]
        version = ask("the CUDA version", nvml.nvmlSystemGetCudaDriverVersion_v2)
        data = {
            "gpu": ", ".join(gpu["name"] for gpu in gpus if "name" in gpu) or None,
            "gpus": gpus,
            "driver": ask("its own version", nvml.nvmlSystemGetDriverVersion),
            "cuda": f"{version // 1000}.{version % 1000 // 10}" if version else None,
        }
    finally:
        nvml.nvmlShutdown()
    return data, missing


def _gpu(nvml: ModuleType, index: int, ask: Callable[[str, Callable[[], Any]], Any]) -> dict[str, Any]:
    handle = ask(f"anything of GPU {index}", lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    if handle is None:
        return {"index": index}
    gpu = {
        "index": index,
        "name": ask(f"GPU {index}'s name", lambda: nvml.nvmlDeviceGetName(handle)),
        "memory": ask(f"GPU {index}'s memory", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total),
        "uuid": ask(f"GPU {index}'s uuid", lambda: nvml.nvmlDeviceGetUUID(handle)),
    }
    return {name: value for name, value in gpu.items() if value is not None}


def _usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else None


def _first_lines(path: Path) -> list[str]:
    try:
        with path.open(errors="replace") as file:
            return file.read(8192).splitlines()
    except OSError:
        return []


def _sysctl(name: str) -> str:
    with loading():
        import ctypes
    library = ctypes.CDLL(None)
    size = ctypes.c_size_t(256)
    buffer = ctypes.create_string_buffer(size.value)
    failed = library.sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, 0)
    return "" if failed else buffer.value.decode(errors="replace")
