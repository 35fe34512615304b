"""What is recorded of the process, seen by running some."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrack.environment import process
from autotrack.environment.entry import code_folder

GATHER = """
import json
from autotrack.environment import process
from autotrack.environment.entry import code_folder, entry_script
script = entry_script()
data = process.gather(script).data
data["folder"] = str(code_folder(script))
print(json.dumps(data))
"""


def test_started_as_a_script(script: Any, tmp_path: Path) -> None:
    """Arguments, script and its digest, folder, Python, machine and user are those of the process."""
    done = script(GATHER, "--lr", "0.1", OMP_NUM_THREADS="3", MY_DIARY="dear")
    data = json.loads(done.stdout)
    path = tmp_path / "script.py"
    assert data["argv"] == [str(path), "--lr", "0.1"]
    assert data["command"] == [sys.executable, str(path), "--lr", "0.1"]
    assert data["script"] == str(path)
    assert data["script_digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert data["folder"] == data["cwd"] == str(tmp_path)
    assert data["python"] == ".".join(map(str, sys.version_info[:3]))
    assert data["implementation"] == sys.implementation.name
    assert data["executable"] == sys.executable
    assert data["host"] == socket.gethostname()
    assert data["os"].startswith(f"{os.uname().sysname} {os.uname().release}")
    assert data["user"]
    assert data["env"]["OMP_NUM_THREADS"] == "3"
    assert "MY_DIARY" not in data["env"]
    if sys.prefix != sys.base_prefix:
        assert data["virtualenv"] == sys.prefix


def test_started_as_a_module(tmp_path: Path) -> None:
    """With `-m` the module's file is the script, and its folder that of the code."""
    package = tmp_path / "work" / "package"
    package.mkdir(parents=True)
    (package / "train.py").write_text(GATHER)
    done = subprocess.run(
        [sys.executable, "-m", "package.train"], cwd=tmp_path / "work", capture_output=True, text=True, check=True
    )
    data = json.loads(done.stdout)
    assert data["script"] == str(package / "train.py")
    assert data["folder"] == str(package)


def test_started_without_a_script(tmp_path: Path) -> None:
    """Code on the command line has no script; the current folder is that of the code."""
    done = subprocess.run([sys.executable, "-c", GATHER], cwd=tmp_path, capture_output=True, text=True, check=True)
    data = json.loads(done.stdout)
    assert "script" not in data
    assert data["folder"] == str(tmp_path)


def test_started_by_an_installed_tool(tmp_path: Path) -> None:
    """`python -m timeit` and the like are nobody's own code: the current folder counts."""
    command = [sys.executable, "-m", "timeit", "-n", "1", "-r", "1", "-s", GATHER, "pass"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    data = json.loads(done.stdout.splitlines()[0])
    assert Path(data["script"]).name == "timeit.py"
    assert data["folder"] == str(tmp_path)


def test_program_of_an_installed_package(tmp_path: Path) -> None:
    """A program that lies beside this Python is nobody's own code either."""
    assert code_folder(Path(sys.executable).parent / "pytest") == tmp_path


def test_script_that_is_a_link(tmp_path: Path) -> None:
    """The code lies where the link leads."""
    real = tmp_path / "project" / "train.py"
    real.parent.mkdir()
    real.touch()
    link = tmp_path / "train"
    link.symlink_to(real)
    assert code_folder(link) == real.parent


def test_only_variables_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment a list of names is taken, and nothing else."""
    environment = {
        "CUDA_VISIBLE_DEVICES": "0", "NCCL_DEBUG": "INFO", "PYTHONHASHSEED": "0", "HOME": "/home/ada", "PATH": "/bin",
        "LESS": "-R", "DATABASE_URL": "postgresql://x", "AWS_PROFILE": "work", "SSH_AUTH_SOCK": "/tmp/x",
    }  # fmt: skip
    assert set(process.variables(environment)) == {"CUDA_VISIBLE_DEVICES", "NCCL_DEBUG", "PYTHONHASHSEED"}


def test_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the number may have no name; the number is better than nothing."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert process.user()
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert process.user() == "4000000"
