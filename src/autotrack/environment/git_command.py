"""Running git commands through GitPython, without side effects."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from autotrack._import_finder import NotifyingFinder
from autotrack.environment.facts import Unavailable
from autotrack.environment.imports import loading

if TYPE_CHECKING:
    import logging

    from git import Repo

_QUIET = (
    "core.fsmonitor=false", f"core.hooksPath={os.devnull}", "diff.autoRefreshIndex=false", "submodule.recurse=false",
    "core.quotePath=true",
)  # fmt: skip
_DIFF = (
    "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--unified=3",
    "--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=dirty", "--submodule=short", "--no-relative",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none",
    "GIT_DIFF_OPTS": "", "GIT_LITERAL_PATHSPECS": "0", "GIT_GLOB_PATHSPECS": "0", "GIT_NOGLOB_PATHSPECS": "0",
    "GIT_ICASE_PATHSPECS": "0", "GIT_TRACE2": "0", "GIT_TRACE2_EVENT": "0", "GIT_TRACE2_PERF": "0",
}  # fmt: skip
_CHANGE = re.compile(rb"(?m)^(?:@@|GIT binary patch|(?:old|new|deleted file|new file) mode )")
_to_refresh: list[ModuleType] = []


def load_gitpython() -> None:
    """Import GitPython unless it is imported already; starts no process. `Unavailable` if it cannot be imported.

    At its import GitPython runs `git version`, without a time limit, and fails where there is no git, unless an
    environment variable prevents that. A variable set here would be seen by all threads and by the processes that they
    start. So `Git.refresh`, which does both, is replaced during this import; the class `Git` below runs it after the
    first command that git answered in time.
    """
    if not _is_installed():
        raise Unavailable("GitPython is not installed, or hidden by another module called `git`")
    if "git" in sys.modules:
        return
    with loading(), _unlogged(), _refresh_held_back() as held_back:
        try:
            import git
        except ImportError as error:
            raise Unavailable(f"GitPython cannot be imported: {error}") from error
    if held_back:
        git.Git.GIT_PYTHON_GIT_EXECUTABLE = os.environ.get("GIT_PYTHON_GIT_EXECUTABLE", git.Git.git_exec_name)
        _to_refresh.append(git)


@contextmanager
def _refresh_held_back() -> Iterator[list[ModuleType]]:
    """Replace `Git.refresh` in the block if this thread imports `git.cmd`; yields a list that then holds the module.

    If the program imports GitPython on another thread meanwhile, its refresh runs as usual.
    """
    here = threading.get_ident()
    held_back: list[ModuleType] = []
    refresh: object = None

    def hold_back(name: str) -> None:
        nonlocal refresh
        if threading.get_ident() == here:
            module = sys.modules[name]
            refresh = vars(module.Git)["refresh"]
            module.Git.refresh = classmethod(lambda cls, path=None: False)
            held_back.append(module)

    finder = NotifyingFinder(hold_back)
    finder.awaited.add("git.cmd")
    sys.meta_path.insert(0, finder)
    try:
        yield held_back
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        for module in held_back:
            module.Git.refresh = refresh


class Git:
    """Runs git commands in one repository until `deadline` (of `time.monotonic`); their output is bytes.

    Every command raises `Unavailable` if git is not installed, refuses, or is not done by then. GitPython would let
    git run the programs that the configuration names (see `_QUIET` and the filters' drivers, which are switched off for
    all commands through this `repo`), and its `untracked_files`, `is_dirty`, `index.diff` and `submodules` have no time
    limit and do not return bytes: hence plain git commands instead of these.
    """

    def __init__(self, repo: Repo, deadline: float) -> None:
        if "GIT_CONFIG" in os.environ:
            raise Unavailable("git is not asked: GIT_CONFIG hides from it which filters are to be switched off")
        self._git = repo.git
        self._deadline = deadline
        self._git.update_environment(**_environment(repo))
        # Passed explicitly: GitPython would expand the variable in a folder called `$HOME`.
        root = str(repo.working_dir)
        self._git.set_persistent_git_options(no_pager=True, C=root, c=[*_QUIET])
        self._drivers = self._filter_drivers()
        switched_off = [setting for driver in self._drivers for setting in _switched_off(driver)]
        self._git.set_persistent_git_options(no_pager=True, C=root, c=[*_QUIET, *switched_off])

    def __call__(self, question: str, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run the git command `question` ("status", say) with `arguments` and return its standard output."""
        with _unlogged():
            output = self._answer(question, arguments, stdin)
            while _to_refresh:
                _refresh(_to_refresh.pop())
        return output

    def filtered(self, paths: Sequence[bytes]) -> list[bytes]:
        """Those of `paths` whose content passes through a filter on its way into the repository."""
        if not self._drivers:
            return []
        answer = self("check-attr", "-z", "--stdin", "filter", stdin=b"\0".join([*paths, b""])).split(b"\0")
        values = dict(zip(answer[0::3], answer[2::3], strict=False))
        drivers = {os.fsencode(name) for name in self._drivers}
        return [path for path in paths if values.get(path) in drivers]

    def diff(self, base: str | None, *, leave_out: Sequence[bytes] = ()) -> bytes:
        """Return a patch for `git apply` that turns commit `base` into the tracked files of the working tree.

        Without a base the patch adds all tracked files. Paths in `leave_out` are excluded.
        """
        tree = base or self("hash-object", "-t", "tree", "--stdin").decode().strip()
        excluded = [":(top,exclude,literal)" + os.fsdecode(path) for path in leave_out]
        output = self("diff", *_DIFF, tree, "--", ":(top)", ":(top,exclude,glob)**/.autotrack/**", *excluded)
        # A file that was only touched gives a heading without a change.
        sections = re.split(rb"(?m)^(?=diff --git )", output)
        return b"".join(section for section in sections if _CHANGE.search(section))

    def _answer(self, question: str, arguments: Sequence[str], stdin: bytes) -> bytes:
        from git import GitCommandNotFound

        ask = getattr(self._git, question.replace("-", "_"))
        try:
            # GitPython's own time limit needs a thread, which cannot be started while the interpreter shuts down.
            asked = ask(*arguments, as_process=True, istream=subprocess.PIPE, shell=False)
        except (GitCommandNotFound, OSError) as error:
            program = self._git.GIT_PYTHON_GIT_EXECUTABLE or "git"
            if shutil.which(program) is None:
                raise Unavailable("git is not installed, so only what its files tell is known") from error
            raise Unavailable(f"git cannot be started: {error.__cause__ or error}") from error
        with asked.proc as process:
            try:
                output, complaint = process.communicate(stdin, max(0.0, self._deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                raise Unavailable(f"git {question} took too long") from None
        if process.returncode:
            reason = complaint.decode(errors="replace").strip().partition("\n")[0]
            raise Unavailable(f"git {question} failed: {reason}")
        return bytes(output)

    def _filter_drivers(self) -> list[str]:
        # From git itself: GitPython's reader knows neither the variables nor all files that configure git.
        answer = self("config", "--list", "--name-only", "-z").split(b"\0")
        names = (os.fsdecode(name).split(".") for name in answer if name.startswith(b"filter."))
        return sorted({".".join(parts[1:-1]) for parts in names if parts[-1] in {"clean", "process"}})


def _is_installed() -> bool:
    """Whether `git` is GitPython. A script of the user's that is called `git.py` must not be run by importing it."""
    try:
        found = importlib.util.find_spec("git")
    except ValueError:
        return False
    folders = found.submodule_search_locations if found else None
    return any(Path(folder, "repo", "base.py").is_file() for folder in folders or ())


def _refresh(git: ModuleType) -> None:
    with suppress(git.GitError, OSError):
        git.refresh()


def _switched_off(driver: str) -> list[str]:
    if "=" in driver or "\n" in driver:
        raise Unavailable(f"git is not asked: its filter {driver!r} cannot be switched off")
    return [f"filter.{driver}.{setting}" for setting in ("clean=", "smudge=", "process=", "required=false")]


def _environment(repo: Repo) -> dict[str, str]:
    """Return the variables to set for git on top of the process's environment, which GitPython passes on as a whole.

    Variables that point git at another repository can thus not be removed; they are set to this repository.
    """
    folder = Path(repo.git_dir)
    own = {
        "GIT_DIR": folder, "GIT_WORK_TREE": Path(repo.working_dir), "GIT_INDEX_FILE": folder / "index",
        "GIT_OBJECT_DIRECTORY": Path(repo.common_dir) / "objects",
    }  # fmt: skip
    pointed_back = {name: str(path) for name, path in own.items() if name in os.environ}
    return _ENVIRONMENT | pointed_back | {name: "0" for name in os.environ if name.startswith("GIT_TRACE")}


@contextmanager
def _unlogged() -> Iterator[None]:
    """Suppress the log records that GitPython writes for every command, on this thread only."""
    import logging

    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger = logging.getLogger("git.cmd")
    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)
