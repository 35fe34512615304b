"""The wheel and the source distribution hold the package, all of it and nothing else, and work where nothing is."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build", reason="packages are built by `build`, of the extra `test`")

ROOT = Path(__file__).resolve().parent.parent
METADATA = "autotrack_ml-"
START_UP = "autotrack-ml.pth"  # beside the package: what Python runs as it starts


def run(*command: str | Path, folder: Path) -> str:
    """Run a command in `folder` with no setting of ours from outside; what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACK", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tree() -> list[str]:
    """The files of the checkout, with those that are new and not ignored."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT)
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).exists())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout's files in which no earlier build has left anything."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in tree():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the checkout."""
    return built("wheel", checkout, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution built from the checkout."""
    return built("sdist", checkout, tmp_path_factory.mktemp("sdist"))


def built(kind: str, source: Path, target: Path) -> Path:
    """The one file that building `kind` leaves in `target`."""
    run(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", target, source, folder=target)
    (result,) = target.iterdir()
    return result


def content(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel by name, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.startswith(METADATA)]
        return {name: archive.read(name) for name in names}


def test_the_content_of_the_wheel_is_that_of_the_tree(wheel: Path, checkout: Path):
    """Every file of the package is in the wheel, byte for byte, the integrations under their import name."""
    places = {"src/autotrack": "autotrack/", "integrations": "autotrack/integrations/"}
    expected = {
        target + path.relative_to(checkout / source).as_posix(): path.read_bytes()
        for source, target in places.items()
        for path in (checkout / source).rglob("*")
        if path.is_file() and "egg-info" not in path.as_posix()
    }
    found = content(wheel)
    start_up = found.pop(START_UP).decode()
    assert found.keys() == expected.keys()
    assert found == expected
    assert start_up.count("\n") == 1
    assert start_up.startswith('import os; os.environ.get("AUTOTRACK") == "1" and ')


def test_the_content_of_the_wheel_survives_the_source_distribution(wheel: Path, sdist: Path, tmp_path: Path):
    """A wheel built from the source distribution is the wheel built from the checkout."""
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(tmp_path, filter="data")
        else:
            archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    (tmp_path / "wheel").mkdir()
    assert content(built("wheel", source, tmp_path / "wheel")) == content(wheel)


def test_the_content_of_the_wheel_names_the_plugins(wheel: Path):
    """The command, the integrations and the sinks are found by their entry points; the licence travels along."""
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(entry_points).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    assert "autotrack = autotrack.cli:main" in text
    assert "[autotrack.integrations]" in text
    assert "[autotrack.sinks]" in text


def test_an_editable_wheel_has_the_start_up_file_and_answers_for_it(checkout: Path, tmp_path: Path):
    """`pip install --editable` puts the line in place, and knows it among its files, so that it goes with them."""
    code = "import setuptools.build_meta as backend, sys; backend.build_editable(sys.argv[1])"
    run(sys.executable, "-c", code, tmp_path, folder=checkout)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        line = archive.read(START_UP)
        (record,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        recorded = [row.split(",") for row in archive.read(record).decode().splitlines()]
    digest = base64.urlsafe_b64encode(hashlib.sha256(line).digest()).decode().rstrip("=")
    assert [START_UP, f"sha256={digest}", str(len(line))] in recorded


FIVE_LINES = """\
import autotrack
run = autotrack.start_run("first", params={"lr": 0.1})
for step in range(3):
    run.log({"train/loss": 1.0 / (step + 1)}, step=step)
run.finish()
"""


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_works_in_an_empty_environment_and_folder(wheel: Path, tmp_path: Path):
    """Somebody installs the wheel, runs five lines in an empty folder and finds the run with `autotrack runs`."""
    environment, folder = tmp_path / "environment", tmp_path / "folder"
    folder.mkdir()
    run(sys.executable, "-m", "venv", environment, folder=tmp_path)
    programs = environment / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", "--no-compile", wheel, folder=tmp_path)
    (folder / "train.py").write_text(FIVE_LINES)
    run(programs / "python", "train.py", folder=folder)
    listed = run(programs / "autotrack", "runs", folder=folder)
    assert "first" in listed
    assert "finished" in listed
    assert "train/loss" in run(programs / "autotrack", "show", "first", folder=folder)
