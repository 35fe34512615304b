"""Records the set of runs that `test_records_stay.py` reads: `python tests/records/record.py FOLDER`.

Every program below `programs/` runs in FOLDER, on a machine that is called "atelier" by a user called "ada". What it
records lies in FOLDER/.autotrack as journals and files, not yet in a store.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
AUTOTRACK = Path(sys.executable).with_name("autotrack")
ENVIRONMENT = {
    "LOGNAME": "ada",
    "AUTOTRACK_QUIET": "1",
    "AUTOTRACK_CAPTURE": "-git,-packages,-hardware,-process,-scheduler,-notebook,-system",
    "AUTOTRACK_BACKGROUND_FOLD": "none",
    "TRANSFORMERS_VERBOSITY": "error",
    "CUDA_VISIBLE_DEVICES": "",
}
ANOTHER_NAME = 'import socket\n\nsocket.gethostname = lambda: "atelier"\n'


def main(folder: Path) -> None:
    """Run all programs, one after another, so that each run starts after the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(ANOTHER_NAME)
    for name in ("by_hand", "by_sklearn", "by_keras", "by_lightning", "by_transformers", "by_torch", "by_boosters"):
        run(folder, sys.executable, f"{name}.py")
    run(folder, sys.executable, "by_optuna.py")
    run(folder, sys.executable, "failed.py", ends_with=1)
    run(folder, sys.executable, "killed.py", ends_with=-signal.SIGKILL)
    run(folder, sys.executable, "resumed.py", "1")
    run(folder, sys.executable, "resumed.py", "2")
    run(folder, str(AUTOTRACK), "run", "python", "launched.py")


def run(folder: Path, *command: str, ends_with: int = 0) -> None:
    """Run one program on a copy in `folder`; `SystemExit` unless it ends as expected."""
    script = next(word for word in command if word.endswith(".py"))
    (folder / script).write_text((PROGRAMS / script).read_text())
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "AUTOTRACK_DIR": str(folder / ".autotrack"),
        "PATH": f"{AUTOTRACK.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
    }
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode != ends_with:
        raise SystemExit(f"{script} ended with {done.returncode}, not {ends_with}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
