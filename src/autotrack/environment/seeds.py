"""Seeds and determinism flags, as far as they can be read without importing or changing anything."""

from __future__ import annotations

import hashlib
import os
import sys
from types import ModuleType
from typing import Any

from autotrack.environment.facts import Facts

_FLAGS = (
    ("torch", "deterministic_algorithms", "are_deterministic_algorithms_enabled"),
    ("torch.backends.cudnn", "cudnn_deterministic", "deterministic"),
    ("torch.backends.cudnn", "cudnn_benchmark", "benchmark"),
)
_VARIABLES = (
    "PYTHONHASHSEED", "PL_GLOBAL_SEED", "CUBLAS_WORKSPACE_CONFIG", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC",
)  # fmt: skip
_LENGTH = 624
_WORD = 0xFFFFFFFF


def gather() -> Facts:
    """Return the seeds that are set and digests of the random number generators' states.

    `random.state` and `numpy.state` are the SHA-256 of the generators' states: equal for runs that draw the same
    numbers. `numpy.seed` is there if `numpy.random.seed` was called and nothing has been drawn since; `torch.seed` is
    the value of `torch.initial_seed()`.
    """
    data: dict[str, Any] = {"hash_randomization": bool(sys.flags.hash_randomization)}
    for variable in _VARIABLES:
        if variable in os.environ:
            data[variable] = os.environ[variable]
    for name, read in (("random", _random), ("numpy", _numpy), ("torch", _torch), ("jax", _jax)):
        module = loaded(name)
        facts = read(module) if module is not None else {}
        if facts:
            data[name] = facts
    return Facts(data)


def loaded(name: str) -> ModuleType | None:
    """The module, if the program has imported it and the import is complete."""
    module = sys.modules.get(name)
    specification = getattr(module, "__spec__", None)
    return None if getattr(specification, "_initializing", False) else module


def _random(random: ModuleType) -> dict[str, Any]:
    return {"state": _digest(repr(random.getstate()).encode())}


def _numpy(numpy: ModuleType) -> dict[str, Any]:
    random = loaded("numpy.random")
    if random is None:
        return {}
    state = random.get_state(legacy=False)
    if state.get("bit_generator") != "MT19937":
        return {"generator": str(state.get("bit_generator"))}
    key, position = state["state"]["key"], int(state["state"]["pos"])
    facts: dict[str, Any] = {"state": _digest(key.tobytes() + str(position).encode())}
    if position == _LENGTH and _is_seeded(key):
        facts["seed"] = int(key[0])
    return facts


def _is_seeded(key: Any) -> bool:
    """Whether the state is what a 32-bit seed makes of it: Knuth's recurrence, as in the Mersenne Twister's paper."""
    value = int(key[0])
    for place in range(1, 8):
        value = (1812433253 * (value ^ (value >> 30)) + place) & _WORD
        if value != int(key[place]):
            return False
    return True


def _torch(torch: ModuleType) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if hasattr(torch, "initial_seed"):
        facts["seed"] = int(torch.initial_seed())
    for name, fact, attribute in _FLAGS:
        value = getattr(loaded(name), attribute, None)
        value = value() if callable(value) else value
        if value is not None:
            facts[fact] = bool(value)
    return facts


def _jax(jax: ModuleType) -> dict[str, Any]:
    config = getattr(jax, "config", None)
    flags = ("jax_enable_x64", "jax_default_prng_impl", "jax_threefry_partitionable")
    return {flag.removeprefix("jax_"): getattr(config, flag) for flag in flags if hasattr(config, flag)}


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()
