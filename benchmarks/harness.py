"""Fresh processes: started, fenced off from the network and the user's home, and accounted for with all descendants."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOWHERE = "http://127.0.0.1:9"
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "localhost,127.0.0.1",
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
}
KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
ANSWER = "answer.json"
PR_SET_CHILD_SUBREAPER = 36
ORPHANS_WAIT = 60.0
STEP_LIMIT = 1800.0


class StepError(Exception):
    """A child process did not do what it was asked; the message is the last line that it said."""


@dataclass(frozen=True)
class Outcome:
    """What a process left: its exit code, seconds of wall time, and CPU seconds of it and all its descendants."""

    code: int
    wall: float
    cpu: float
    answer: dict[str, Any]


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent is gone, so that their CPU time is counted (Linux only)."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


@contextmanager
def fresh_folder(base: Path | None = None) -> Iterator[Path]:
    """A temporary folder with a home and, for trackers that record code, a small git checkout to work in."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=base))
    try:
        (folder / "home").mkdir()
        work = folder / "work"
        work.mkdir()
        (work / "train.py").write_text("print('training')\n")
        for command in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "Start"]):
            subprocess.run(["git", *command], cwd=work, env=environment(folder, {}), check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path, extra: dict[str, str]) -> dict[str, str]:
    """The whole environment of a child: a home of its own, no way out, nothing of the user's settings."""
    home = str(folder / "home")
    own = {"HOME": home, "XDG_CACHE_HOME": f"{home}/.cache", "XDG_CONFIG_HOME": f"{home}/.config"}
    own |= {"XDG_DATA_HOME": f"{home}/.local/share", "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | OFFLINE | own | {name: value.replace("{work}", f"{folder}/work") for name, value in extra.items()}


def start(command: list[str], folder: Path, extra: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` in the folder's checkout, its output kept in `output.txt`."""
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder / "work",
            env=environment(folder, extra),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def wait(process: subprocess.Popen[bytes], began: float, limit: float = STEP_LIMIT) -> Outcome:
    """Wait for `process` and for what it left running behind it; past `limit` seconds it is ended as failed."""
    before = _reaped_cpu()
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        raise StepError(f"not done after {limit:.0f} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    wall = time.perf_counter() - began
    _reap_orphans()
    return Outcome(code, wall, _reaped_cpu() - before, {})


def start_step(
    step: str, tracker: str, folder: Path, extra: dict[str, str], arguments: dict[str, Any]
) -> subprocess.Popen[bytes]:
    """Start a fresh process that calls `module:function` of the measures with the tracker and the arguments."""
    answer = folder / ANSWER
    answer.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.child", step, tracker, str(answer), json.dumps(arguments)]
    return start(command, folder, extra)


def run_step(step: str, tracker: str, folder: Path, extra: dict[str, str], arguments: dict[str, Any]) -> Outcome:
    """Run a step to its end; its answer comes back as JSON."""
    began = time.perf_counter()
    outcome = wait(start_step(step, tracker, folder, extra, arguments), began)
    answer = folder / ANSWER
    if outcome.code or not answer.exists():
        raise StepError(last_words(folder, outcome.code))
    return Outcome(outcome.code, outcome.wall, outcome.cpu, json.loads(answer.read_text()))


def last_words(folder: Path, code: int) -> str:
    """The last line of a process's output, for a message."""
    lines = (folder / "output.txt").read_text(errors="replace").strip().splitlines()
    return f"exit code {code}: {lines[-1][:300] if lines else 'no output'}"


def disk_usage(folder: Path) -> int:
    """Bytes that the files below the folder's checkout and home take on disk, without git's own."""
    total = 0
    for top in ("work", "home"):
        for path in (folder / top).rglob("*"):
            if path.is_file() and not path.is_symlink() and (folder / "work" / ".git") not in path.parents:
                total += path.stat().st_blocks * 512
    return total


def _reaped_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _reap_orphans() -> None:
    """Wait for adopted descendants, so that they neither disturb the next measurement nor go uncounted."""
    import psutil

    deadline = time.monotonic() + ORPHANS_WAIT
    while True:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            time.sleep(0.02)
        if time.monotonic() > deadline:
            for orphan in psutil.Process().children(recursive=True):
                orphan.kill()
