"""Repositories to look at, and a stand-in for NVIDIA's driver library."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NVML_SOURCE = Path(__file__).with_name("nvml_stand_in.c")


class Repository:
    """A real git repository with one commit of `train.py`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """What git prints, without the last line end."""
        done = subprocess.run(["git", "-C", str(self.root), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def write(self, name: str, content: str | bytes) -> Path:
        """The file `name` with this content."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, **files: str) -> str:
        """The commit of all that lies there, after writing `files`."""
        for name, content in files.items():
            self.write(name, content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "Change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def git_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git configuration of the test's own; returns its file."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "gitconfig"
    config.write_text('[user]\nname = Ada\nemail = ada@example.org\n[protocol "file"]\nallow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return config


@pytest.fixture
def repository(tmp_path: Path, git_home: Path) -> Repository:
    """A repository with `train.py` and `model.py` committed on the branch `main`."""
    made = Repository(tmp_path / "project")
    made.commit(**{"train.py": "lr = 0.1\nprint(lr)\n", "model.py": "layers = 2\n"})
    return made


@pytest.fixture
def new_repository(tmp_path: Path, git_home: Path) -> Callable[[str], Repository]:
    """Makes an empty repository of the given name."""
    return lambda name: Repository(tmp_path / name)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `libnvidia-ml.so.1` of two GPUs, the power of the second of which cannot be read.

    Through the environment, NVML_FAILS names a further call that fails, on the second GPU where it has one.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for NVIDIA's driver library with")
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-o", str(library), str(NVML_SOURCE)], check=True)
    return folder
