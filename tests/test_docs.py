"""What README and docs show is run here: every Python example, in the order of its page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import autotrack

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def examples(page: Path) -> list[str]:
    return _BLOCK.findall(page.read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """One after another, in one folder, each as a script of its own; the test classes in them pass."""
    for number, source in enumerate(examples(page)):
        pytest.importorskip("sklearn") if "sklearn" in source else None
        path = tmp_path / f"test_example_{number}.py"
        path.write_text(source)
        command = [sys.executable, str(path)]
        if "class Test" in source:
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, f"{source}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there."""
    for target in _LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    """Each `autotrack …` line of the README ends well after its examples ran."""
    readme = (ROOT / "README.md").read_text()
    for number, source in enumerate(examples(ROOT / "README.md")[:4]):
        path = tmp_path / f"example_{number}.py"
        path.write_text(source)
        assert subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True).returncode == 0
    commands = [line.partition("#")[0].strip() for line in readme.splitlines() if line.startswith("autotrack ")]
    assert len(commands) >= 5
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command.replace("autotrack", f"'{sys.executable}' -m autotrack", 1)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


# The scripts that the demo runs: what they need, their experiment, and what each of its runs has to show.
SHOWN = (
    ((), "breast_cancer", ["test/accuracy"] * 2),
    ((), "diabetes", ["test/r2"] * 2),
    ((), "unaware", ["train/duration"]),
    (("lightning",), "lightning_digits", ["test/accuracy"]),
    (("transformers", "accelerate", "torch"), "tiny_bert", ["test/accuracy"]),
    (("keras", "torch"), "keras_digits", ["test/accuracy"]),
)


@pytest.mark.slow
def test_the_demo_shows_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its scripts print one line per model and no chatter; a killed run keeps its points; what is missing is named."""
    pytest.importorskip("sklearn")
    examples_there = tmp_path / "docs" / "examples"
    shutil.copytree(ROOT / "docs" / "examples", examples_there, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("AUTOTRACK_DIR", str(tmp_path / "demo" / ".autotrack"))
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, str(examples_there / "demo.py")], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    chatter = [line for line in done.stderr.splitlines() if line and not line.startswith("autotrack: ")]
    assert chatter == []

    missing = False
    for packages, experiment, metrics in SHOWN:
        if all(map(find_spec, packages)):
            records = autotrack.runs(experiment=experiment)
            assert [record.status for record in records] == ["finished"] * len(metrics), experiment
            assert all(name in record.metrics for record, name in zip(records, metrics, strict=True)), experiment
        else:
            missing = True
    assert ("make demo-all" in done.stdout) == missing
    killed = autotrack.get_run("unfinished")
    assert (killed.status, killed.metrics["test/loss"].count) == ("crashed", 30)
    (search,) = autotrack.runs("run.kind = search")
    assert search.child_count == 6
