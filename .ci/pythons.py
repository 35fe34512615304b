"""Runs the core's tests on every supported Python that the machine has, each in a cached environment.

An environment holds autotrack, pytest, scikit-learn, pandas, polars and matplotlib, and nothing else: what tests need
beyond that they skip. Slow tests and those that need the index run on one Python only, by `make test`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINORS = range(10, 15)
TESTS = ("-m", "not slow and not network", "--maxfail", "5", "-p", "no:cacheprovider")
# What stands or falls with the version of Python: journal, store, patching, the run. All the rest is tested on one.
CORE = (
    "instrument", "journal", "outputs", "query", "sinks", "store", "test_public_names.py", "recording/test_ranks.py",
    "recording/test_run.py",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """The tests running on one Python."""

    version: str
    process: subprocess.Popen[bytes]
    output: Path
    started: float


def main() -> int:
    """Test on every Python found; how many of them failed."""
    failed = 0
    running: list[Job] = []
    for minor in MINORS:
        version = f"3.{minor}"
        if minor == sys.version_info.minor:
            print(f"{version}: tested by `make test`")
            continue
        python = interpreter(minor)
        if python is None:
            print(f"{version}: not on this machine")
            continue
        environment = prepared(python, ROOT / f".venv-{version}")
        while len(running) >= (os.cpu_count() or 1):
            failed += finish(running.pop(0))
        running.append(start(version, environment))
    return failed + sum(finish(job) for job in running)


def interpreter(minor: int) -> Path | None:
    """An interpreter of Python 3.`minor`: on the path, else one of pyenv's."""
    for candidate in candidates(minor):
        command = [candidate, "-c", "import sys, venv; print(*sys.version_info[:2])"]
        says = subprocess.run(command, check=False, capture_output=True, text=True)
        if says.stdout.split() == ["3", str(minor)]:
            return candidate
    return None


def candidates(minor: int) -> Iterator[Path]:
    """What may be an interpreter of Python 3.`minor`; a shim on the path may stand for nothing."""
    found = shutil.which(f"python3.{minor}")
    if found:
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python"))


def prepared(python: Path, folder: Path) -> Path:
    """The environment in `folder`, made when it is not there, brought up to date when pyproject.toml changed."""
    stamp, project = folder / ".made", ROOT / "pyproject.toml"
    if not stamp.exists():
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    if not stamp.exists() or stamp.stat().st_mtime < project.stat().st_mtime:
        install = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--quiet", "--no-compile"]
        subprocess.run([*install, "--editable", f"{ROOT}[test-core]"], check=True, stdin=subprocess.DEVNULL)
        stamp.touch()
    return folder


def start(version: str, environment: Path) -> Job:
    """Begin the core's tests in an environment."""
    output = environment / "tests.txt"
    places = [f"tests/{place}" for place in CORE]
    command = [environment / "bin/python", "-m", "pytest", *TESTS, *places, *sys.argv[1:]]
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    return Job(version, process, output, time.monotonic())


def finish(job: Job) -> int:
    """Wait for the tests of one Python and say how they went: 0 if all passed."""
    failed = job.process.wait() != 0
    lines = job.output.read_text(errors="replace").rstrip().splitlines()
    seconds = time.monotonic() - job.started
    print(f"{job.version}: {lines[-1] if lines else 'nothing was said'} · {seconds:.0f} s", flush=True)
    if failed:
        print("\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
