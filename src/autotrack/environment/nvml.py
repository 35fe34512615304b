"""NVIDIA's management library, through `pynvml`, which is only imported where there is a driver."""

from __future__ import annotations

import sys
from types import ModuleType

from autotrack.environment.facts import Unavailable
from autotrack.environment.imports import loading

_LIBRARY = "libnvidia-ml.so.1"


def has_driver() -> bool:
    """Whether NVIDIA's driver library can be loaded here."""
    if sys.platform == "darwin":
        return False
    if sys.platform == "win32":
        return True
    with loading():
        import ctypes

        try:
            ctypes.CDLL(_LIBRARY)
        except OSError:
            return False
    return True


def open_nvml() -> ModuleType:
    """Initialise `pynvml` and return it; `Unavailable` if the driver does not answer. The caller shuts it down."""
    with loading():
        import pynvml
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise Unavailable(f"NVIDIA's driver does not answer: {error}") from error
    module: ModuleType = pynvml
    return module
