"""Facts about the process: command line, user, host, operating system, Python and environment variables."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotrack.environment.facts import Facts
from autotrack.environment.imports import loading

_LARGEST_SCRIPT = 64 << 20
_VARIABLES = frozenset(
    {
        "CONDA_DEFAULT_ENV", "CONDA_PREFIX", "CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER", "CUDA_HOME",
        "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "CUDA_VISIBLE_DEVICES", "GOMP_CPU_AFFINITY",
        "HIP_VISIBLE_DEVICES", "JUPYTERHUB_USER", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LD_PRELOAD", "LOCAL_RANK",
        "LOCAL_WORLD_SIZE", "MALLOC_CONF", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "NVIDIA_TF32_OVERRIDE",
        "NVIDIA_VISIBLE_DEVICES", "RANK", "ROCR_VISIBLE_DEVICES", "TOKENIZERS_PARALLELISM", "TZ",
        "UV_PROJECT_ENVIRONMENT", "VECLIB_MAXIMUM_THREADS", "VIRTUAL_ENV", "WORLD_SIZE",
    }
)  # fmt: skip
_FAMILIES = (
    "ACCELERATE_", "AUTOTRACK_", "DEEPSPEED_", "FSDP_", "HF_", "JAX_", "KERAS_", "KMP_", "LIGHTNING_", "MKL_", "NCCL_",
    "NUMEXPR_", "OMP_", "OPENBLAS_", "PL_", "PYTHON", "PYTORCH_", "SKLEARN_", "TF_", "TORCH", "TRANSFORMERS_", "XLA_",
)  # fmt: skip


def gather(script: Path | None, environment: Mapping[str, str] | None = None) -> Facts:
    """Return the facts of this process and its entry `script`; `env` has only variables that affect a training."""
    data: dict[str, Any] = {
        "argv": list(sys.argv),
        "command": list(sys.orig_argv),
        "cwd": _current_folder(),
        "user": user(),
        "host": host(),
        "os": operating_system(),
        "pid": os.getpid(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "stdin": _standard_input(),
        "env": variables(os.environ if environment is None else environment),
    }
    if sys.prefix != sys.base_prefix:
        data["virtualenv"] = sys.prefix
    if script is not None:
        data["script"] = str(script)
        data["script_digest"] = digest(script)
    return Facts({name: value for name, value in data.items() if value is not None})


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that affect a training, sorted by name."""
    return {
        name: value for name, value in sorted(environment.items()) if name in _VARIABLES or name.startswith(_FAMILIES)
    }


def user() -> str:
    """The name of the user, or the numeric user id where there is no name (as in many containers)."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        name = os.environ.get(variable)
        if name:
            return name
    if sys.platform == "win32":
        return ""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def host() -> str:
    """The name of the machine."""
    if sys.platform == "win32":
        return os.environ.get("COMPUTERNAME", "")
    return os.uname().nodename


def operating_system() -> str:
    """Kernel and release, with the distribution's name in parentheses where there is one."""
    if sys.platform == "win32":
        return sys.platform
    system = os.uname()
    kernel = f"{system.sysname} {system.release} {system.machine}"
    if sys.platform == "darwin":
        with loading():
            import platform
        return f"macOS {platform.mac_ver()[0]} ({kernel})"
    name = _distribution()
    return f"{kernel} ({name})" if name else kernel


def _distribution() -> str:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("PRETTY_NAME", "").strip("\"'")


def _standard_input() -> str | None:
    """The kind of standard input: "terminal", "pipe" or "file"; None if there is nothing to read."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return "pipe"
    if stat.S_ISREG(mode):
        return "file"
    return "terminal" if os.isatty(0) else None


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def digest(script: Path) -> str | None:
    """The SHA-256 of a script in hex; None if it cannot be read, or is too large to be one."""
    try:
        return hashlib.sha256(script.read_bytes()).hexdigest() if script.stat().st_size < _LARGEST_SCRIPT else None
    except OSError:
        return None
