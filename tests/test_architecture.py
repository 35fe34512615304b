"""What importing autotrack, or training with it, loads; and that the package is seen under one name only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import autotrack

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = {"sklearn", "torch", "lightning", "pytorch_lightning", "transformers", "keras", "tensorflow", "jax"}
HEAVY = {
    "alembic", "git", "lark", "matplotlib", "numpy", "obstore", "pandas", "polars", "psutil", "pyarrow", "pynvml",
    "rich", "scipy", "sqlalchemy", "typer",
}  # fmt: skip

NAME_WHAT_IS_LOADED = """
import atexit, json, sys
@atexit.register  # the first one registered is the last one called: after all of autotrack's own
def name_what_is_loaded():
    with open("loaded.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a Python of its own, in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "AUTOTRACK_DIR": str(folder / ".autotrack"), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


def modules_loaded_by(code: str, folder: Path) -> set[str]:
    """The modules that were loaded by the end of a process which ran `code`."""
    done = python(NAME_WHAT_IS_LOADED + code, folder)
    assert done.returncode == 0, done.stderr
    return set(json.loads((folder / "loaded.json").read_text()))


def packages_loaded_by(code: str, folder: Path) -> set[str]:
    """The top-level packages among them."""
    return {name.split(".")[0] for name in modules_loaded_by(code, folder)}


def test_importing_autotrack_loads_nothing_heavy(tmp_path: Path):
    """`import autotrack` alone loads no framework and none of the heavy dependencies."""
    loaded = packages_loaded_by("import autotrack", tmp_path)
    assert "autotrack" in loaded
    assert not loaded & (FRAMEWORKS | HEAVY)


def test_switching_autolog_on_loads_no_framework(tmp_path: Path):
    """`autotrack.autolog()` waits for frameworks; it does not import them."""
    loaded = packages_loaded_by("import autotrack; autotrack.autolog()", tmp_path)
    assert not loaded & (FRAMEWORKS | {"numpy", "pyarrow", "sqlalchemy"})


def test_switching_autolog_on_loads_the_integrations_that_are_needed(tmp_path: Path):
    """With scikit-learn imported, `autotrack.autolog()` loads its integration; without a framework, none at all."""
    integrations = "autotrack.integrations."
    pytest.importorskip("sklearn")
    loaded = modules_loaded_by("import sklearn.base, autotrack; autotrack.autolog()", tmp_path)
    ours = {name.split(".")[2] for name in loaded if name.startswith(integrations)}
    assert ours - {"base"} == {"sklearn"}
    loaded = modules_loaded_by("import autotrack; autotrack.autolog()", tmp_path)
    assert not [name for name in loaded if name.startswith((integrations, "autotrack.recording"))]


def test_a_training_process_never_loads_the_store(tmp_path: Path):
    """A process that records and ends, but reads nothing, loads neither SQLAlchemy nor pyarrow."""
    recording = """
import autotrack
run = autotrack.start_run("quiet", params={"lr": 0.1})
for step in range(10):
    run.log({"loss": 1 / (step + 1)}, step=step)
run.set_tags({"team": "x"})
run.log_text("all is well", "note.txt")
run.finish()
"""
    loaded = packages_loaded_by(recording, tmp_path)
    assert not loaded & {"sqlalchemy", "alembic", "pyarrow", "lark", "typer"}
    recorded = python("import autotrack; print(autotrack.get_run('quiet').metrics['loss'])", tmp_path)
    assert "0.1" in recorded.stdout, recorded.stderr


def test_every_module_imports_and_shadows_no_public_name(tmp_path: Path):
    """With every submodule imported, each public name still is a function or a class."""
    everything = """
import importlib, pkgutil, types
import autotrack
modules = [module.name for module in pkgutil.walk_packages(autotrack.__path__, "autotrack.")]
for name in modules:
    if name.endswith((".__main__", ".migrations.env", ".sitecustomize")):  # commands, and what others run
        continue
    try:
        importlib.import_module(name)
    except (ImportError, autotrack.AutotrackError):  # callbacks need the framework that they are made for
        if not name.startswith("autotrack.integrations."):
            raise
shadowed = [name for name in autotrack.__all__ if isinstance(getattr(autotrack, name), types.ModuleType)]
callables = [name for name in autotrack.__all__ if callable(getattr(autotrack, name))]
print(len(modules), len(callables), shadowed)
"""
    done = python(everything, tmp_path, KERAS_BACKEND="torch")
    assert done.returncode == 0, done.stderr
    modules, callables, shadowed = done.stdout.split(maxsplit=2)
    assert shadowed.strip() == "[]"
    files = [path for tree in ("src/autotrack", "integrations") for path in (ROOT / tree).rglob("*.py")]
    assert int(modules) == len(files) - 1  # but for the package itself
    assert int(callables) == len(autotrack.__all__)


@pytest.mark.parametrize("module", ["integrations", "integrations.sklearn"])
def test_the_second_name_of_the_integrations_is_refused(module: str):
    """`import integrations` from the root of a checkout would load a second copy: it says which name to use."""
    done = python(f"import {module}", ROOT)
    assert done.returncode == 1
    assert "imported as 'autotrack.integrations'" in done.stderr
