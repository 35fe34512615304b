"""GitPython is the user's library as well: ours leaves it, and the process, as they would be without us."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

START = """
import json, os, sys
from pathlib import Path
from autotrack.environment import git as gatherer
def gather(**options):
    return gatherer.gather(Path("project").absolute(), limit=170.0, **options)
"""


@pytest.fixture
def gathering(repository: Any, script: Any) -> Callable[[str], Any]:
    """Runs a script that may `gather` what there is to know of the repository."""
    return lambda source: script(START + textwrap.dedent(source))


def test_import_is_seen_by_nobody(repository: Any, gathering: Callable[[str], Any]) -> None:
    """Importing GitPython starts no process and touches no variable, and its log of commands stays out of ours."""
    done = gathering(
        """
        import logging
        from autotrack.environment.git_command import load_gitpython
        logging.basicConfig(level=logging.DEBUG)
        seen = []
        sys.addaudithook(lambda event, _: seen.append(event))
        before = dict(os.environ)
        load_gitpython()
        assert not {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.putenv", "os.unsetenv"} & set(seen)
        assert gather().data["dirty"] is False
        assert not {"os.putenv", "os.unsetenv"} & set(seen)
        assert dict(os.environ) == before
        assert "subprocess.Popen" in seen
        import git
        git.Git().version()
        """
    )
    assert done.stderr.count("DEBUG:git.cmd") == 1, "the user's own command is logged, and only that"
    assert "git', 'version'" in done.stderr


def test_user_imports_it_afterwards(repository: Any, gathering: Callable[[str], Any]) -> None:
    """What the user gets is what their own import would have made, with their choice of program."""
    done = gathering(
        """
        import shutil
        os.environ["GIT_PYTHON_GIT_EXECUTABLE"] = shutil.which("git")
        gather()
        import git
        print(git.GIT_OK, git.Git.GIT_PYTHON_GIT_EXECUTABLE == shutil.which("git"), "t" in git.FetchInfo._flag_map)
        print(git.Repo("project").head.commit.summary)
        """
    )
    assert done.stdout.splitlines() == ["True True True", "Change"]


def test_user_has_imported_it_before(repository: Any, gathering: Callable[[str], Any], tmp_path: Path) -> None:
    """The program that the user has chosen is the one that is asked, and stays chosen."""
    chosen = tmp_path / "chosen"
    chosen.write_text(f"#!/bin/sh\necho asked >> '{tmp_path}/asked'\nexec git \"$@\"\n")
    chosen.chmod(0o755)
    done = gathering(
        """
        import git
        git.refresh(Path("chosen").absolute())
        before = Path("asked").read_text()
        assert gather().missing == ()
        assert Path("asked").read_text() > before
        print(git.Git.GIT_PYTHON_GIT_EXECUTABLE)
        """
    )
    assert done.stdout.strip() == str(chosen)


def test_no_process_is_left(repository: Any, gathering: Callable[[str], Any]) -> None:
    """Afterwards there is no child of ours, neither running nor waiting to be asked for its exit status."""
    repository.git("submodule", "add", "-q", str(repository.root), "inner")
    repository.write("train.py", "lr = 1\n")
    done = gathering(
        """
        assert gather(untracked=True).data["dirty"] is True
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("none")
        """
    )
    assert done.stdout.strip() == "none"


def test_first_import_without_git(repository: Any, gathering: Callable[[str], Any]) -> None:
    """Where GitPython's import would fail for want of git, the commit is known, and the user's import is quiet."""
    done = gathering(
        """
        os.environ["PATH"] = "/nowhere"
        facts = gather()
        print(facts.data["commit"], *facts.missing, sep="\\n")
        import git
        print(git.GIT_OK)
        """
    )
    commit = repository.git("rev-parse", "HEAD")
    assert done.stdout.splitlines() == [commit, "git is not installed, so only what its files tell is known", "False"]
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["git.py", "git/__init__.py"])
def test_module_of_the_user_called_git(
    repository: Any, gathering: Callable[[str], Any], tmp_path: Path, name: str
) -> None:
    """A file of the user's by that name is not run; the reason is given."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("print('ran')\n")
    done = gathering(
        """
        from autotrack.environment.facts import Unavailable
        try:
            gather()
        except Unavailable as reason:
            print(reason)
        """
    )
    assert done.stdout.strip() == "GitPython is not installed, or hidden by another module called `git`"


def test_only_the_background_imports(repository: Any, script: Any) -> None:
    """The thread that trains does not pay for the import."""
    done = script(
        """
        import atexit, sys, threading
        importers = set()
        atexit.register(lambda: print(importers))
        def hook(event, arguments):
            if event == "import" and arguments[0] == "git":
                importers.add(threading.current_thread() is threading.main_thread())
        sys.addaudithook(hook)
        import os
        os.chdir("project")
        import autotrack
        with autotrack.start_run() as run:
            run.log({"loss": 1.0})
        """
    )
    assert done.stdout.strip() == "{False}"
