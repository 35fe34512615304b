"""`make demo`: runs ordinary training scripts, then shows what was recorded of them.

The scripts lie beside this one. All they know of tracking is `autotrack.autolog()`. Deep-learning frameworks take part
where they are installed: `make demo-all` installs them.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "demo"
AUTOTRACK = Path(sys.executable).with_name("autotrack")
SCRIPTS = ("breast_cancer.py", "digits.py", "diabetes.py", "wine.py")
FRAMEWORKS = (
    ("PyTorch Lightning", ("lightning",), "lightning_digits.py"),
    ("transformers", ("transformers", "accelerate", "torch"), "tiny_bert.py"),
    ("Keras", ("keras", "torch"), "keras_digits.py"),
)
QUESTIONS = (
    ("What was recorded?", ("runs",)),
    ("Which is best on unseen patients?", ("best", "test/r2", "--experiment", "diabetes")),
    ("What did the search try?", ("runs", "run.kind = trial", "--order-by=-metrics.val/score.mean", "--limit", "6")),
    ("What is known of the last one?", ("show", "last")),
    ("Where does it all lie?", ("where",)),
)


def main() -> None:
    """Train, ask, and say what to type next; ends with the exit code of the first command that fails."""
    (FOLDER / ".autotrack").mkdir(parents=True, exist_ok=True)  # else the folder of the checkout would be found
    heading("Four ordinary training scripts, with scikit-learn")
    for script in SCRIPTS:
        python(script)
    heading("A script that is killed in the middle")
    python("killed.py", ends_with=-signal.SIGKILL)
    autotrack("show", "last")
    heading("A script that knows nothing of tracking")
    run("autotrack run python docs/examples/unaware.py", AUTOTRACK, "run", sys.executable, HERE / "unaware.py")
    networks()
    for question, words in QUESTIONS:
        heading(question)
        autotrack(*words)
    heading("Your turn")
    print(f"  cd {FOLDER.name} && . ../.venv/bin/activate")
    print("  autotrack compare                  the last two runs, side by side")
    print("  autotrack runs 'params.C > 1'      the runs that a question finds")
    print("  autotrack --help                   everything else")


def networks() -> None:
    """One short training by each framework that is installed; one line about those that are not."""
    missing = [name for name, packages, _ in FRAMEWORKS if not all(map(find_spec, packages))]
    if len(missing) < len(FRAMEWORKS):
        heading("Small networks, each by another framework")
    for name, _, script in FRAMEWORKS:
        if name not in missing:
            python(script)
    if missing:
        print(f"\nNot installed here: {', '.join(missing)}. To see them, too: make demo-all", flush=True)


def heading(text: str) -> None:
    """Say what comes next."""
    print(f"\n\033[1m── {text}\033[0m" if sys.stdout.isatty() else f"\n── {text}", flush=True)


def python(script: str, *, ends_with: int = 0) -> None:
    """Run a script that lies beside this one."""
    run(f"python docs/examples/{script}", sys.executable, HERE / script, ends_with=ends_with)


def autotrack(*words: str) -> None:
    """Ask on the command line."""
    run(f"autotrack {shlex.join(words)}", AUTOTRACK, *words)


def run(shown: str, *command: str | Path, ends_with: int = 0) -> None:
    """Run a command in the demo's own folder."""
    print(f"\n$ {shown}", flush=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK")}
    finished = subprocess.run(command, check=False, cwd=FOLDER, env=environment)
    if finished.returncode != ends_with:
        sys.exit(finished.returncode or 1)


if __name__ == "__main__":
    main()
