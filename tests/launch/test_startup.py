"""How a Python starts under `autotrack run` or with AUTOTRACK=1: as it does without, for all that the program sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrack

PYTHON = sys.executable
ROOT = Path(__file__).resolve().parents[2]
Launch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Write = Callable[..., Path]
Said = Callable[[bytes], bytes]
LOOK = """
import json, os, sys
print(json.dumps({
    "path": sys.path, "meta_path": [str(type(finder)) for finder in sys.meta_path], "argv": sys.argv,
    "modules": sorted(name for name in sys.modules if "autotrack" not in name),
    "hooks": [sys.excepthook is sys.__excepthook__, sys.exit.__module__], "signals": [],
}))
"""


def without_us(*words: str, folder: Path) -> bytes:
    """What the same command writes by itself."""
    return subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout


def test_a_program_looks_as_it_does_without_us(launch: Launch, write: Write, tmp_path: Path):
    """Paths, modules, hooks are the same; all that can be seen is finders that wait for the first framework."""
    write("look.py", LOOK)
    ours = json.loads(launch(PYTHON, "look.py").stdout)
    own = json.loads(without_us(PYTHON, "look.py", folder=tmp_path))
    assert "<class 'autotrack.launch.startup.FirstImport'>" in ours["meta_path"]
    ours["meta_path"] = [finder for finder in ours["meta_path"] if "autotrack" not in finder]
    assert set(ours.pop("modules")) - set(own.pop("modules")) <= {"__future__", "atexit", "collections.abc"}
    assert ours == own


def test_a_program_that_imports_nothing_loads_nothing(launch: Launch, write: Write):
    """No more of autotrack than listens is there, until something comes that is not the standard library's."""
    look = "print(*(name in sys.modules for name in ('autotrack.instrument.discovery', 'autotrack.settings')))"
    write("look.py", f"import json, logging, sys\n{look}\nimport numpy\n{look}")
    first, second = launch(PYTHON, "look.py").stdout.decode().splitlines()
    assert (first, second) == ("False False", "True True")


def test_the_users_own_start_up_runs(launch: Launch, write: Write, said: Said, tmp_path: Path):
    """A `sitecustomize` of the user's, wherever it lies on the path, and `usercustomize` run as they did."""
    write("own/sitecustomize.py", "import sys\nsys.from_site = __file__\n")
    write("own/usercustomize.py", "import sys\nsys.from_user = __file__\n")
    write(
        "look.py",
        """
        import sys, sitecustomize
        print(sys.from_site, sitecustomize.__file__, sitecustomize.sys is sys)
        print(getattr(sys, 'from_user', None), 'own' in sys.path[1])
        """,
    )
    environment = {"PYTHONPATH": str(tmp_path / "own")}
    done = launch(PYTHON, "look.py", environment=environment)
    own = subprocess.run([PYTHON, "look.py"], capture_output=True, cwd=tmp_path, env={**os.environ, **environment})
    assert own.returncode == 0
    assert (done.stdout, said(done.stderr)) == (own.stdout, own.stderr)
    assert b"own/sitecustomize.py" in done.stdout


@pytest.mark.parametrize("source", ["1 / 0", "import not_there", "raise ImportError('x', name='sitecustomize')"])
def test_the_users_broken_start_up_breaks_as_before(
    launch: Launch, write: Write, said: Said, tmp_path: Path, source: str
):
    """Python says of it what it says without us, and goes on."""
    write("own/sitecustomize.py", source)
    environment = {"PYTHONPATH": str(tmp_path / "own")}
    done = launch(PYTHON, "-c", "print('on')", environment=environment)
    own = subprocess.run([PYTHON, "-c", "print('on')"], capture_output=True, env={**os.environ, **environment})
    assert (done.returncode, done.stdout) == (own.returncode, own.stdout)
    assert said(done.stderr) == 2 * own.stderr  # the launcher is a Python as well


def test_nothing_of_ours_reaches_the_program_when_it_breaks(launch: Launch, said: Said, tmp_path: Path):
    """A Python for which autotrack is not installed starts as ever, and the report names it."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    bare = tmp_path / "bare" / "bin" / "python"
    done = launch(bare, "-c", "import sys; print('autotrack' in sys.modules, 'sitecustomize' in sys.modules)")
    own = subprocess.run([bare, "-c", "import sys; print(False, 'sitecustomize' in sys.modules)"], capture_output=True)
    assert (done.stdout, said(done.stderr)) == (own.stdout, b"")
    (line,) = autotrack.get_run().capture_report
    assert f"{bare} has no autotrack" in line


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The Python of an environment in which the start-up file lies, as every installation puts it there."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "all.pth").write_text("import site; " + "; ".join(f"site.addsitedir({path!r})" for path in sys.path
                                                                 if path.endswith("site-packages")) + "\n")  # fmt: skip
    space: dict[str, Any] = {"__file__": str(ROOT / "setup.py"), "__name__": "setup"}
    source = (ROOT / "setup.py").read_text().rpartition("\nsetup(")[0]
    exec(compile(source, "setup.py", "exec"), space)
    (packages / space["NAME"]).write_text(space["LINE"])
    return environment / "bin" / "python"


TRAIN = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
LogisticRegression(max_iter=200).fit(X, y)
"""


def test_a_variable_suffices(installed: Path, write: Write, said: Said, tmp_path: Path):
    """With AUTOTRACK=1 the programs of a pipeline record what they train, each training a run; else nothing is."""
    write("train.py", TRAIN)
    for value, count in ((None, 0), ("0", 0), ("1", 1)):
        environment = {**os.environ, **({} if value is None else {"AUTOTRACK": value})}
        line = f"{installed} train.py && echo fine"
        done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, cwd=tmp_path)
        assert (done.stdout, said(done.stderr)) == (b"fine\n", b"")
        assert len(autotrack.runs(all=True)) == count
    (record,) = autotrack.runs(all=True)
    assert (record.kind, record.params["max_iter"]) == ("training", 200)


def test_both_ways_at_once_record_once(installed: Path, launch: Launch, write: Write, said: Said):
    """The launcher's way and the installation's, and the script's own line beside them."""
    write("train.py", "import autotrack\nautotrack.autolog()\n" + TRAIN)
    done = launch(installed, "train.py")
    assert (done.returncode, said(done.stderr)) == (0, b"")
    (job,) = autotrack.runs(all=True)
    assert len(job.trainings) == 1


def test_a_python_path_of_the_programs_own_changes_nothing(installed: Path, launch: Launch, write: Write):
    """A program that gives its children another PYTHONPATH is recorded, where autotrack is installed for them."""
    write("train.py", TRAIN)
    write(
        "outer.py",
        """
        import os, subprocess, sys
        subprocess.run([sys.executable, 'train.py'], env={**os.environ, 'PYTHONPATH': '/nowhere'}, check=True)
        """,
    )
    launch(installed, "outer.py")
    (job,) = autotrack.runs(all=True)
    assert len(job.trainings) == 1


def test_a_variable_costs_nothing_where_it_is_not_set(installed: Path):
    """Not one module of ours is loaded."""
    code = "import sys; print([name for name in sys.modules if name.startswith('autotrack')])"
    assert subprocess.run([installed, "-c", code], capture_output=True).stdout == b"[]\n"


def test_what_autotrack_needs_itself_is_loaded_once(write: Write, tmp_path: Path):
    """The program's first import may be of a module that switching autolog on has just imported: it is that one."""
    write("victim.py", "import sys\nsys.loads = getattr(sys, 'loads', 0) + 1\n")
    program = """
        import importlib, sys
        from autotrack.launch import startup
        startup.activate = lambda: sys.meta_path.remove(finder) or importlib.import_module("victim")
        finder = startup.FirstImport()
        sys.meta_path.insert(0, finder)
        import victim
        assert victim is sys.modules["victim"]
        print(sys.loads, type(victim.__spec__.loader).__name__, victim.__spec__.origin)
    """
    script = write("first.py", program)
    loads, loader, origin = without_us(PYTHON, str(script), folder=tmp_path).decode().split()
    assert (loads, loader, Path(origin)) == ("1", "SourceFileLoader", tmp_path / "victim.py")
