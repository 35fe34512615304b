"""`autotrack reproduce`: how to do a run again, built from real repositories, and what it says is missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

TRAIN = """
import sys
import autotrack

with autotrack.start_run("train", params={"argv": sys.argv[1:]}) as run:
    run.log({"loss": 1.0})
    run.log_dataset([[1, 2]], name="pixels", role="train", source="s3://bucket/pixels")
"""


class Project:
    """A repository with a script in a folder, and what is done with it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "code").mkdir(parents=True)
        (root / "code" / "train.py").write_text(TRAIN)
        (root / "model.py").write_text("width = 1\n\n\n\n\n\n\n\n\n\nend = 1\n")
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *arguments: str) -> str:
        """What git prints."""
        done = subprocess.run(["git", "-C", str(self.root), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self) -> str:
        """The commit of all that lies there."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "Change")
        return self.git("rev-parse", "HEAD")

    def train(self, *arguments: str, **environment: str) -> None:
        """Run the script in its folder."""
        done = subprocess.run(
            [sys.executable, "train.py", *arguments], cwd=self.root / "code", env={**os.environ, **environment},
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project, and a git configuration of the test's own."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = Ada\nemail = ada@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return Project(tmp_path / "project")


def gaps(answer: Any, what: str) -> str:
    """What `--json` says cannot be reproduced of one kind."""
    return "; ".join(gap["message"] for gap in answer.json["gaps"] if gap["what"] == what)


def test_the_plan_names_code_packages_python_and_command(cli: Cli, project: Project) -> None:
    """Of a run of a clean checkout everything can be had again but the data and what was installed from a folder."""
    project.train("--lr", "0.1", "name=a b", OMP_NUM_THREADS="2")
    answer = cli("reproduce", "--json")
    assert answer.code == 0
    plan = answer.json
    assert plan["code"]["commit"] == project.git("rev-parse", "HEAD")
    assert (plan["code"]["entry_point"], plan["code"]["patch"]) == ("code/train.py", None)
    assert plan["code"]["source"] == str(project.root)
    assert plan["command"]["argv"] == ["python", "train.py", "--lr", "0.1", "name=a b"]
    assert plan["command"]["folder"] == "code"
    assert plan["command"]["env"]["OMP_NUM_THREADS"] == "2"
    assert plan["python"] == f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}"
    import numpy

    assert f"numpy=={numpy.__version__}" in plan["requirements"]
    assert gaps(answer, "code") == ""
    assert "pixels (train) is not kept" in gaps(answer, "data")
    assert "s3://bucket/pixels" in gaps(answer, "data")


def test_the_printed_plan_can_be_typed(cli: Cli, project: Project, tmp_path: Path) -> None:
    """The lines under Code, typed into a shell, give the checkout; `--requirements` prints a file for pip."""
    (project.root / "model.py").write_text("width = 2\n")
    project.train("--lr", "0.1")
    out = cli("reproduce").out
    assert "train.py --lr 0.1" in out
    lines = out.split("Code\n")[1].splitlines()[:3]
    script = "\n".join(["set -e", *lines]).replace("DIR", "again")
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "again" / "model.py").read_text() == "width = 2\n"
    requirements = cli("reproduce", "--requirements").out
    assert "\nnumpy==" in requirements
    assert "Command" not in requirements


def test_into_builds_the_checkout_as_it_was(cli: Cli, project: Project, tmp_path: Path) -> None:
    """Changed, new, deleted and binary files come back, after the repository went on; the run can be done again."""
    (project.root / "old.py").write_text("gone = 1\n")
    project.commit()
    (project.root / "old.py").unlink()
    (project.root / "model.py").write_text("width = 3\n")
    (project.root / "weights.bin").write_bytes(bytes(range(256)))
    project.git("add", "weights.bin")
    (project.root / "notes.txt").write_text("by hand")
    project.train(AUTOTRACK_CAPTURE="git_untracked")
    project.git("rm", "-q", "--cached", "notes.txt", "--ignore-unmatch")
    (project.root / "model.py").write_text("width = 99\n")
    project.commit()

    answer = cli("reproduce", "--into", "again", "--json")

    assert answer.code == 0
    again = tmp_path / "again"
    assert (again / "model.py").read_text() == "width = 3\n"
    assert (again / "weights.bin").read_bytes() == bytes(range(256))
    assert not (again / "old.py").exists()
    assert answer.json["built"]["differing"] == []
    assert answer.json["built"]["same"] == 3 + len(answer.json["code"]["untracked"])
    command = (again / ".reproduce" / "command.sh").read_text()
    assert "python train.py" in command
    status = subprocess.run(["git", "-C", str(again), "status", "--short"], capture_output=True, text=True).stdout
    assert ".reproduce" not in status
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", ".reproduce/command.sh"], cwd=again, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert cli("show", "last", "--json").json["environment"]["process"]["data"]["cwd"] == str(again / "code")


def test_untracked_files_without_their_content_are_named(cli: Cli, project: Project) -> None:
    """By default only the names of untracked files are recorded: the plan says which are missing."""
    (project.root / "notes.txt").write_text("by hand")
    project.train()
    assert "content was not kept: notes.txt" in gaps(cli("reproduce", "--json"), "code")


def test_a_withheld_hunk_is_named_and_the_rest_is_built(cli: Cli, project: Project, tmp_path: Path) -> None:
    """A change with a secret is neither recorded nor rebuilt; the checkout differs, and the exit code says so."""
    key = "ghp_" + hashlib.sha256(b"no real one").hexdigest()[:36]
    text = (project.root / "model.py").read_text()
    (project.root / "model.py").write_text(text.replace("width = 1", "width = 2").replace("end = 1", f'end = "{key}"'))
    project.train()
    answer = cli("reproduce", "--into", "again", "--json")
    assert answer.code == 1
    assert "model.py @@" in gaps(answer, "code")
    built = (tmp_path / "again" / "model.py").read_text()
    assert built.startswith("width = 2\n")
    assert built.endswith("end = 1\n")
    assert "model.py" in answer.json["built"]["differing"][0]["message"]
    assert key not in answer.out


def test_a_run_without_git_says_so(cli: Cli, tmp_path: Path) -> None:
    """Code in no repository cannot be checked out; the plan still has the packages and the command."""
    (tmp_path / "alone.py").write_text(TRAIN)
    subprocess.run([sys.executable, "alone.py"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    answer = cli("reproduce", "--json")
    assert answer.code == 0
    assert "not in a git repository" in gaps(answer, "code")
    assert "alone.py (SHA-256" in gaps(answer, "code")
    assert answer.json["command"]["argv"] == ["python", "alone.py"]
    refused = cli("reproduce", "--into", "again")
    assert (refused.code, refused.out) == (1, "")
    assert "no commit to check out" in refused.err
    assert not (tmp_path / "again").exists()


def test_the_commit_comes_from_the_remote_when_the_repository_is_gone(
    cli: Cli, project: Project, tmp_path: Path
) -> None:
    """With the recorded repository gone, the remote is asked, and only for `--into`; without either, it says so."""
    remote = tmp_path / "remote.git"
    project.git("clone", "-q", "--bare", str(project.root), str(remote))
    project.git("remote", "add", "origin", remote.as_uri())
    project.train()
    project.root.rename(tmp_path / "elsewhere")
    plan = cli("reproduce", "--json")
    assert plan.json["code"]["source"] is None
    assert "which was not asked" in gaps(plan, "code")
    built = cli("reproduce", "--into", "again", "--json")
    assert built.code == 0
    assert built.json["built"]["source"] == remote.as_uri()
    assert (tmp_path / "again" / "code" / "train.py").read_text() == TRAIN
    remote.rename(tmp_path / "gone.git")
    refused = cli("reproduce", "--into", "once-more")
    assert refused.code == 1
    assert "git clone failed" in refused.err
    assert not (tmp_path / "once-more").exists()
    assert cli("reproduce", "--into", "once-more", "--from", str(tmp_path / "elsewhere")).code == 0


def test_nothing_of_the_project_or_configuration_runs(cli: Cli, project: Project, tmp_path: Path) -> None:
    """Hooks, filters and templates that a checkout would start are not started."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    trap = tmp_path / "ran"
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {trap}\n")
    (hooks / "post-checkout").chmod(0o755)
    (project.root / ".gitattributes").write_text("*.py filter=trap\n")
    project.commit()
    project.train()
    with (tmp_path / "gitconfig").open("a") as config:
        config.write(f"[core]\nhooksPath = {hooks}\n")
        config.write(f'[filter "trap"]\nsmudge = sh -c "touch {trap}; cat"\nclean = cat\nrequired = true\n')
    assert cli("reproduce", "--into", "again").code == 0
    assert not trap.exists()


def test_a_folder_that_is_in_use_is_refused(cli: Cli, project: Project, tmp_path: Path) -> None:
    """What lies in a folder stays as it is."""
    project.train()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "mine.txt").write_text("mine")
    answer = cli("reproduce", "--into", "again")
    assert (answer.code, answer.out) == (1, "")
    assert "not an empty folder" in answer.err
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["mine.txt"]


def test_a_child_run_is_reproduced_by_the_run_around_it(cli: Cli, project: Project) -> None:
    """A trial has no command of its own: the plan is that of the run which it is a part of, and says so."""
    (project.root / "code" / "train.py").write_text(
        "import autotrack\n"
        "with autotrack.start_run('study'):\n"
        "    with autotrack.start_run('trial-1', kind='trial') as run:\n"
        "        run.log({'loss': 1.0})\n"
    )
    project.commit()
    project.train()
    answer = cli("reproduce", "trial-1", "--json")
    assert answer.json["name"] == "trial-1"
    assert answer.json["code"]["commit"] == project.git("rev-parse", "HEAD")
    assert "part of run study" in gaps(answer, "run")


def test_input_and_a_lock_file_outside_the_repository_are_looked_after(
    cli: Cli, project: Project, tmp_path: Path
) -> None:
    """What was piped in is lost, and that is said; a small lock file is kept and put beside the checkout."""
    (project.root / "requirements.txt").write_text("numpy\n")
    project.commit()
    subprocess.run(
        [sys.executable, "train.py"], cwd=project.root / "code", input=b"yes\n", check=True, capture_output=True
    )
    answer = cli("reproduce", "--into", "again", "--json")
    assert "standard input (a pipe)" in gaps(answer, "input")
    assert answer.json["lock_file"]["name"] == "requirements.txt"
    assert (tmp_path / "again" / ".reproduce" / "lock" / "requirements.txt").read_text() == "numpy\n"


@pytest.mark.parametrize("words", [["-I", "plain.py", "-v"], ["-S", "-c", "print('plain')"]])
def test_a_python_that_took_no_part_is_a_python_all_the_same(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    """Of its command only the words are known: none of them is taken for a program of a package."""
    (tmp_path / "plain.py").write_text("print('plain')")
    launch = [sys.executable, "-m", "autotrack", "run", "--", sys.executable, *words]
    assert subprocess.run(launch, cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    assert cli("reproduce", "last", "--json").json["command"]["argv"] == ["python", *words]


def test_packages_are_pinned_as_they_were_installed() -> None:
    """From an index, a commit, an address, conda's build, the project itself, and a folder that nobody else has."""
    from autotrack.outputs.reproduction.requirements import requirements_of
    from autotrack.query.facets import Section

    class Recorded:
        environment = {  # noqa: RUF012
            "packages": Section(
                {
                    "numpy": "2.0.1", "fork": "1.0", "wheel-of": "3.1", "from-conda": "4.0", "mine": "0.1",
                    "other": "0.2", "torch": "2.13.0+cpu",
                    "direct_urls": {
                        "fork": "https://host/fork.git@" + "a" * 40, "wheel-of": "https://host/w-3.1.whl",
                        "from-conda": "file:///home/conda/feedstock_root/x", "mine": "file:///repo/lib",
                        "other": "file:///elsewhere",
                    },
                }
            )
        }  # fmt: skip
        artifacts: tuple[Any, ...] = ()

    found, missing = requirements_of(Recorded(), "/repo")  # type: ignore[arg-type]
    assert found.lines == (
        f"fork @ git+https://host/fork.git@{'a' * 40}", "from-conda==4.0", "-e ./lib", "numpy==2.0.1",
        "# other==0.2: from file:///elsewhere", "torch==2.13.0+cpu", "wheel-of @ https://host/w-3.1.whl",
    )  # fmt: skip
    assert [gap.message.partition(": ")[2] for gap in missing] == [
        "other 0.2 from file:///elsewhere", "torch 2.13.0+cpu",
    ]  # fmt: skip


def test_wrong_command_lines_are_refused(cli: Cli, runs: Path) -> None:
    """Options that contradict each other, and a run that is not there."""
    assert cli("reproduce", "--from", "x").code == 2
    assert cli("reproduce", "--requirements", "--json").code == 2
    assert cli("reproduce", "nobody").code == 1
