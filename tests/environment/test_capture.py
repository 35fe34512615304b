"""The whole environment of a run, as it is handed to the collector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotrack.environment import capture as capture_module
from autotrack.environment.capture import Captured, capture
from autotrack.environment.facts import Facts, Unavailable, within
from autotrack.settings import Settings

PROGRAM = """
import json, sys
from pathlib import Path
from autotrack.environment.capture import capture
from autotrack.settings import load

def emit(captured):
    print(json.dumps([captured.name, captured.data, sorted(captured.files), captured.masked, captured.unavailable]))

capture(load(), Path(".autotrack").absolute(), emit)
"""
HURRIED = """
from autotrack.environment import git, hardware
of_git, of_hardware = git.gather, hardware.gather
git.gather = lambda folder, *, limit, **options: of_git(folder, limit=limit / 100, **options)
hardware.gather = lambda limit: of_hardware(limit / 100)
"""
NO_NETWORK = """
import sys
def refuse(event, arguments):
    if event.startswith("socket.") and event not in {"socket.__new__", "socket.gethostname"}:
        print("network:", event, arguments, file=sys.stderr)
        raise PermissionError("no network here")
sys.addaudithook(refuse)
"""
PATIENT = Settings(environment_timeout=170.0)


def captured_by(repository: Any, source: str = PROGRAM, *arguments: str, **environment: str) -> dict[str, list[Any]]:
    """The sections that a script in the repository captures, by name."""
    script = repository.root / "train.py"
    if not script.read_text().endswith(source):
        script.write_text(source)
    done = subprocess.run(
        [sys.executable, str(script), *arguments], cwd=repository.root,
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}


def test_script_in_a_repository(repository: Any) -> None:
    """Sections come one by one, the cheap ones first; what does not exist here says nothing."""
    sections = captured_by(repository)
    assert list(sections) == ["process", "seeds", "packages", "git", "hardware"]
    assert sections["git"][0]["entry_point"] == "train.py"
    assert sections["git"][1] == ["git/changes.patch"]
    assert sections["packages"][0]["msgspec"] == msgspec.__version__
    assert sections["process"][0]["script"] == str(repository.root / "train.py")
    assert all(unavailable is None for _, _, _, unavailable in sections.values())


def test_no_network(repository: Any) -> None:
    """Nothing that is gathered opens a connection or asks a name server."""
    repository.git("remote", "add", "origin", "https://example.org/project.git")
    sections = captured_by(
        repository,
        NO_NETWORK + PROGRAM,
        SLURM_JOB_ID="1",
        KUBERNETES_SERVICE_HOST="10.0.0.1",
        AUTOTRACK_CAPTURE="git_untracked",
    )
    assert list(sections) == ["process", "scheduler", "seeds", "packages", "git", "hardware"]


def test_secrets_stay_out(repository: Any) -> None:
    """No secret reaches the collector, be it in the command, a variable, a remote, a change or an untracked file."""
    repository.git("remote", "add", "origin", "https://ada:hunter2@example.org/project.git")
    repository.commit(**{"settings.py": "a = 1\n"})
    repository.write("settings.py", "a = 1\nPASSWORD = 'hunter2'\n")
    repository.write("notes.env", "API_KEY=hunter2hunter2\n")
    repository.write("harmless.txt", "max_tokens = 5\n")
    done = captured_by(
        repository, PROGRAM, "--api-key", "hunter2", "--max-tokens", "5",
        HF_TOKEN="hunter2", AUTOTRACK_SINKS="https://ada:hunter2@example.org", AUTOTRACK_CAPTURE="git_untracked",
    )  # fmt: skip
    assert "hunter2" not in json.dumps({name: parts[:2] for name, parts in done.items()})
    process, git = done["process"], done["git"]
    assert process[0]["argv"][1:] == ["--api-key", "[masked]", "--max-tokens", "5"]
    assert process[0]["env"]["HF_TOKEN"] == "[masked]"
    assert set(process[2]) == {"argv.2", "command.3", "env.HF_TOKEN", "env.AUTOTRACK_SINKS"}
    assert git[0]["remote"] == "https://example.org/project.git"
    assert git[1] == ["git/changes.patch", "git/untracked/harmless.txt"]
    assert git[2] == ["remote", "settings.py @@ -1 +1,2 @@", "git/untracked/notes.env"]
    assert git[0]["withheld"] == git[2][1:]


@pytest.mark.parametrize("switch", ["git", "packages", "hardware", "process", "scheduler", "seeds"])
def test_each_gatherer_can_be_switched_off(repository: Any, switch: str) -> None:
    """What is switched off is not gathered, and not even imported; all the rest is."""
    source = PROGRAM + f"print(json.dumps(['loaded', 'autotrack.environment.{switch}' in sys.modules]))\n"
    with_all = captured_by(repository, source, SLURM_JOB_ID="1")
    without = captured_by(repository, source, SLURM_JOB_ID="1", AUTOTRACK_CAPTURE=f"-{switch}")
    assert with_all.pop("loaded") == [True]
    assert without.pop("loaded") == [False]
    assert set(with_all) - set(without) == {switch}


def test_notebook_can_be_switched_off(repository: Any) -> None:
    """Inside a shell the notebook is a section, unless it is switched off."""
    shell = (
        "import sys, types\nmodule = types.ModuleType('shell')\n"
        "class InteractiveShell:\n    user_ns = {}\n"
        "    initialized = classmethod(lambda cls: True)\n    instance = classmethod(lambda cls: cls())\n"
        "module.InteractiveShell = InteractiveShell\nsys.modules['IPython.core.interactiveshell'] = module\n"
    )
    assert captured_by(repository, shell + PROGRAM)["notebook"][0]["kind"] == "jupyter"
    assert "notebook" not in captured_by(repository, shell + PROGRAM, AUTOTRACK_CAPTURE="-notebook")


def test_patch_and_untracked_files_have_switches(repository: Any) -> None:
    """The patch is on by default and the contents of untracked files are not; the lists are there in any case."""
    repository.write("notes.txt", "x")
    assert captured_by(repository)["git"][1] == ["git/changes.patch"]
    off = captured_by(repository, AUTOTRACK_CAPTURE="-git_patch,git_untracked")["git"]
    assert off[1] == ["git/untracked/notes.txt"]
    assert off[0]["changed"] == ["train.py"]
    assert off[0]["untracked"] == ["notes.txt"]


def test_autotrack_switched_off(repository: Any) -> None:
    """`AUTOTRACK=0` gathers nothing."""
    assert captured_by(repository, AUTOTRACK="0") == {}


def test_gatherer_that_hangs_is_given_up_on(repository: Any, driver: Path, tmp_path: Path) -> None:
    """A git and a GPU driver that never answer cost their time limit; the rest comes, and the reasons are given.

    Their own limits are a hundredth of the one that all gatherers have: so the others may be as slow as they like.
    """
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    sections = captured_by(
        repository, HURRIED + PROGRAM, PATH=f"{slow.parent}:{os.environ['PATH']}", LD_LIBRARY_PATH=str(driver),
        NVML_HANGS="1", AUTOTRACK_ENVIRONMENT_TIMEOUT="200",
    )  # fmt: skip
    assert sections["packages"][0]
    assert sections["git"][0]["commit"]
    assert "took too long" in sections["git"][3]
    assert sections["hardware"][0]["memory"]
    assert "asking the GPUs took longer" in sections["hardware"][3]


def test_gatherer_beyond_its_limit(monkeypatch: pytest.MonkeyPatch, repository: Any, guard_failures: list[Any]) -> None:
    """A gatherer that does not come back at all is unavailable, those after it are gathered, its answer is dropped."""
    release = threading.Event()

    def hang(_: object) -> Facts:
        release.wait(200)
        return Facts({"too": "late"})

    monkeypatch.setitem(capture_module._GATHERERS, "scheduler", hang)
    monkeypatch.chdir(repository.root)
    found: list[Captured] = []
    capture(Settings(environment_timeout=2.0), repository.root / ".autotrack", found.append)
    release.set()
    by_name = {captured.name: captured for captured in found}
    assert by_name["scheduler"] == Captured("scheduler", unavailable="scheduler took longer than 2 s")
    assert {"process", "packages", "git"} <= set(by_name)
    assert guard_failures == []


@pytest.mark.swallows
@pytest.mark.filterwarnings("ignore:autotrack")
def test_gatherer_that_fails(monkeypatch: pytest.MonkeyPatch, repository: Any, guard_failures: list[Any]) -> None:
    """A failure of ours is reported as one and costs that section alone; so does a section that cannot be recorded."""

    def fail(_: object) -> Facts:
        raise ZeroDivisionError("ours")

    monkeypatch.setitem(capture_module._GATHERERS, "scheduler", fail)
    monkeypatch.chdir(repository.root)
    found: dict[str, Captured] = {}

    def emit(captured: Captured) -> None:
        if captured.name == "packages":
            raise OSError("disk full")
        found[captured.name] = captured

    capture(PATIENT, repository.root / ".autotrack", emit)
    assert found["scheduler"].unavailable == "gathering scheduler failed"
    assert "git" in found
    assert [what for what, _ in guard_failures] == ["gathering scheduler", "recording packages"]


def test_code_outside_a_repository(tmp_path: Path) -> None:
    """Without a repository the section says so, in a sentence."""
    found: list[Captured] = []
    capture(PATIENT, tmp_path, found.append)
    git = next(captured for captured in found if captured.name == "git")
    assert git == Captured("git", unavailable=f"{tmp_path} is not in a git repository", absent=True)


def test_everything_can_be_encoded(repository: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments and file names of arbitrary bytes do not keep a section from being recorded."""
    monkeypatch.chdir(repository.root)
    monkeypatch.setattr(sys, "argv", ["train.py", os.fsdecode(b"odd-\xff")])
    monkeypatch.setenv("TORCH_HOME", os.fsdecode(b"/odd-\xff"))
    if sys.platform != "darwin":
        Path(os.fsdecode(os.fsencode(repository.root) + b"/odd-\xff.txt")).write_text("x")
    found: list[Captured] = []
    settings = PATIENT.with_changes({"capture": {"git_untracked": True}})
    capture(settings, repository.root / ".autotrack", found.append)
    for captured in found:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(captured), type=Captured) == captured
    process = next(captured for captured in found if captured.name == "process")
    assert process.data["argv"] == ["train.py", "odd-\\udcff"]


def test_capturing_at_the_end_of_the_program(repository: Any) -> None:
    """A program that is over before its environment is known still gets it, as long as its end waits for that."""
    source = PROGRAM.replace(
        'capture(load(), Path(".autotrack").absolute(), emit)',
        "import atexit\natexit.register(lambda: capture(load(), Path('.autotrack').absolute(), emit))",
    )
    sections = captured_by(repository, source)
    assert list(sections) == ["process", "seeds", "packages", "git", "hardware"]
    assert sections["git"][1] == ["git/changes.patch"]


def test_within_passes_on_what_a_gatherer_says() -> None:
    """Answers and reasons come through from the thread."""
    assert within(170, "it", lambda: 5) == 5

    def refuse() -> int:
        raise Unavailable("there is none")

    with pytest.raises(Unavailable, match="there is none"):
        within(170, "it", refuse)
