"""`make demo`: runs three ordinary training scripts, then shows what was recorded of them.

The scripts lie beside this one. All they know of tracking is `autotrack.autolog()`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "demo"
SCRIPTS = ("breast_cancer.py", "digits.py", "diabetes.py")
QUESTIONS = (
    ("What was recorded?", ("runs",)),
    ("Which is best on unseen patients?", ("best", "test/r2", "--experiment", "diabetes")),
    ("What is known of the last one?", ("show", "last")),
    ("Where does it all lie?", ("where",)),
)


def main() -> None:
    """Train, ask, and say what to type next; ends with the exit code of the first command that fails."""
    (FOLDER / ".autotrack").mkdir(parents=True, exist_ok=True)  # else the folder of the checkout would be found
    heading("Three ordinary training scripts")
    for script in SCRIPTS:
        run(f"python docs/examples/{script}", sys.executable, HERE / script)
    for question, words in QUESTIONS:
        heading(question)
        run(f"autotrack {' '.join(words)}", Path(sys.executable).with_name("autotrack"), *words)
    heading("Your turn")
    print(f"  cd {FOLDER.name} && . ../.venv/bin/activate")
    print("  autotrack compare                  the last two runs, side by side")
    print("  autotrack runs 'params.C > 1'      the runs that a question finds")
    print("  autotrack --help                   everything else")


def heading(text: str) -> None:
    """Say what comes next."""
    print(f"\n\033[1m── {text}\033[0m" if sys.stdout.isatty() else f"\n── {text}", flush=True)


def run(shown: str, *command: str | Path) -> None:
    """Run a command in the demo's own folder."""
    print(f"\n$ {shown}", flush=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK")}
    finished = subprocess.run(command, check=False, cwd=FOLDER, env=environment)
    if finished.returncode:
        sys.exit(finished.returncode)


if __name__ == "__main__":
    main()
