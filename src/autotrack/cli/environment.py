"""The environment of a run in a few lines: code, program, machine, packages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autotrack import wording
from autotrack.cli.tables import Cell

if TYPE_CHECKING:
    from autotrack.query.records import Record

# The distributions whose versions are shown first, in this order; those that further model flavors declare follow.
FRAMEWORKS = (
    "scikit-learn", "torch", "lightning", "pytorch-lightning", "transformers", "keras", "tensorflow", "jax", "xgboost",
    "lightgbm", "catboost", "numpy", "pandas", "polars",
)  # fmt: skip


def environment_rows(record: Record) -> Iterator[tuple[str, Cell]]:
    """Yield the name and the value of each line."""
    sections = record.environment
    empty: dict[str, Any] = {}
    yield from _git(sections.get("git", empty))
    yield from _process(sections.get("process", empty))
    yield from _hardware(sections.get("hardware", empty))
    yield from _packages(sections.get("packages", empty))
    reported = {line.what for line in record.capture_report}
    for name, section in sections.items():
        if section.unavailable and name not in reported:
            yield name, Cell(f"not available: {section.unavailable}", "dim")
        elif section.masked:
            yield f"{name}, withheld", Cell(", ".join(section.masked), "dim")


def _git(git: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    commit = str(git.get("commit") or "")
    if commit:
        branch = git.get("branch")
        state = [str(branch)] if branch else ["detached"]
        state += ["with uncommitted changes"] if git.get("dirty") else []
        yield "git", Cell(f"{commit[:10]} · {' · '.join(state)}", exact=f"{commit} · {' · '.join(state)}")
    if git.get("remote"):
        yield "remote", Cell(str(git["remote"]))


def _process(process: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    argv = process.get("argv")
    command = shlex.join(map(str, argv)) if isinstance(argv, list) else str(argv or process.get("script") or "")
    if command:
        yield "command", Cell(command)
    if process.get("cwd"):
        yield "folder", Cell(str(process["cwd"]))
    python = " ".join(str(process[key]) for key in ("implementation", "python") if process.get(key))
    if python:
        yield "python", Cell(python)
    if process.get("os"):
        yield "system", Cell(str(process["os"]))


def _hardware(hardware: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    cores = hardware.get("cores") or hardware.get("physical_cores")
    memory = hardware.get("memory")
    parts = [
        str(hardware.get("cpu") or ""),
        wording.counted(cores, "core") if isinstance(cores, int) else "",
        wording.size(memory) if isinstance(memory, (int, float)) else "",
    ]
    if any(parts):
        yield "machine", Cell(" · ".join(part for part in parts if part))
    if hardware.get("gpu"):
        extra = [
            f"{name} {hardware[key]}" for name, key in (("driver", "driver"), ("CUDA", "cuda")) if hardware.get(key)
        ]
        yield "gpu", Cell(" · ".join([str(hardware["gpu"]), *extra]))


def _packages(packages: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    versions = {name: version for name, version in packages.items() if isinstance(version, str)}
    if not versions:
        return
    from autotrack.models.flavors import flavors

    known = dict.fromkeys((*FRAMEWORKS, *(name for flavor in flavors().values() for name in flavor.shown)))
    telling = [f"{name} {versions[name]}" for name in known if name in versions][:4]
    yield "packages", Cell(" · ".join([*telling, f"{len(versions)} in all"]))
