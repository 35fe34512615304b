"""Building the checkout of a run in an empty folder, and comparing it with the record."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from autotrack.environment import git as git_state
from autotrack.environment.checkout import find_repository
from autotrack.environment.facts import Unavailable
from autotrack.environment.git_command import Git, load_gitpython
from autotrack.exceptions import ReproductionError
from autotrack.outputs.reproduction.code import Code, sections
from autotrack.outputs.reproduction.gaps import Gap, named
from autotrack.outputs.reproduction.plan import Plan
from autotrack.outputs.reproduction.repositories import git, has_commit

NOTES = ".reproduce"
PATIENCE = 600.0  # seconds that git may take for one checkout


@dataclass(frozen=True)
class Built:
    """A checkout that was built in `folder` from the repository `source`.

    `requirements` and `command` are the files with its packages and its command line. `same` counts the changed and
    untracked files that equal the record byte for byte; `differing` names those that differ or could not be written.
    """

    folder: Path
    source: str
    requirements: Path
    command: Path
    same: int
    differing: tuple[Gap, ...] = ()


def build(planned: Plan, into: Path, *, repository: str | None = None) -> Built:
    """Build the checkout of `planned` in `into`; see `Reproduction.build`."""
    code = planned.code
    if code.commit is None:
        raise ReproductionError(f"the code of run {planned.run_name} was not recorded: there is no commit to check out")
    source = repository or (str(planned.source) if planned.source is not None else code.remote)
    if source is None:
        raise ReproductionError(f"no repository here has the commit {code.commit}, and no remote of it is known")
    with _empty_folder(into):
        _clone(source, into, code)
        _fill(into, code)
        same, differing = _compared(into, code)
        requirements, command = _write_notes(planned, into)
    return Built(into.absolute(), source, requirements, command, same, tuple(differing))


@contextmanager
def _empty_folder(folder: Path) -> Iterator[None]:
    """Create the folder, which must be new or empty; if the block fails, it is emptied or, if new, removed."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReproductionError(f"{folder} is not an empty folder: choose a new one")
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if not was_there:
            folder.rmdir()
        raise


def _clone(source: str, into: Path, code: Code) -> None:
    assert code.commit is not None
    git("clone", "--quiet", "--no-checkout", "--template=", "--", source, str(into))
    if not has_commit(into, code.commit):
        git("fetch", "--quiet", "--no-tags", "origin", code.commit, folder=into)
    if code.remote and source != code.remote:
        git("remote", "set-url", "--", "origin", code.remote, folder=into)


def _fill(into: Path, code: Code) -> None:
    """Check the commit out, apply the patch, write the untracked files; filters and hooks stay off."""
    load_gitpython()
    patch = code.patch_bytes()
    try:
        with find_repository(into, above=False) as repo:
            ask = Git(repo, time.monotonic() + PATIENCE)
            ask("checkout", "--quiet", "--force", "--detach", str(code.commit))
            if patch:
                ask("apply", "--index", "--whitespace=nowarn", "-", stdin=patch)
    except Unavailable as reason:
        raise ReproductionError(f"the checkout cannot be built: {reason}") from reason
    for name, file in code.untracked.items():
        target = _checked_target(into, name)
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read())


def _checked_target(into: Path, name: str) -> Path | None:
    """Return the path for an untracked file; None if it is outside the folder, inside `.git`, or exists already."""
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or ".git" in (part.lower() for part in parts):
        return None
    target = into / name
    inside = target.parent.resolve().is_relative_to(into.resolve())
    return target if inside and not os.path.lexists(target) else None


def _compared(into: Path, code: Code) -> tuple[int, list[Gap]]:
    """Gather the state of the checkout as for a run; returns the number of files as recorded, and the differences."""
    facts = git_state.gather(into, leave_out=into / NOTES, limit=PATIENCE)
    differing: list[Gap] = []
    if facts.data["commit"] != code.commit:
        differing.append(Gap("commit", f"{facts.data['commit']} is checked out instead of {code.commit}"))
    then, now = sections(code.patch_bytes()), sections(facts.files.get("git/changes.patch", b""))
    incomplete = {heading for heading in then if any(name.encode() in heading for name in code.incomplete)}
    unlike = [heading for heading in then.keys() | now.keys() if then.get(heading) != now.get(heading)]
    if wrong := sorted(set(unlike) - incomplete):
        differing.append(Gap("code", f"not as recorded: {named(_path(heading) for heading in wrong)}"))
    if code.incomplete:
        differing.append(Gap("code", f"without the changes that were withheld: {named(code.incomplete)}"))
    lost = [name for name, file in code.untracked.items() if _digest(into / name) != file.digest]
    if lost:
        differing.append(Gap("code", f"untracked files that could not be written: {named(lost)}"))
    if code.entry_point and code.script_digest and _digest(into / code.entry_point) != code.script_digest:
        differing.append(Gap("code", f"the script {code.entry_point} is not the one that ran"))
    return len(then.keys() - set(unlike)) + len(code.untracked) - len(lost), differing


def _path(heading: bytes) -> str:
    return heading.decode(errors="replace").rpartition(" b/")[2]


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _write_notes(planned: Plan, into: Path) -> tuple[Path, Path]:
    """Write the requirements, the lock file and the command into a folder of the checkout that git ignores."""
    notes = into / NOTES
    if os.path.lexists(notes):
        raise ReproductionError(f"the project has a {NOTES} of its own, which is where the notes would go")
    notes.mkdir()
    (notes / ".gitignore").write_text("*\n")
    requirements, command = notes / "requirements.txt", notes / "command.sh"
    requirements.write_text(planned.requirements.text, encoding="utf-8")
    lock = planned.requirements.lock
    if lock is not None and lock.content is not None:
        (notes / "lock").mkdir()
        (notes / "lock" / PurePath(lock.name).name).write_bytes(lock.content.read())
    remarks = [f"run {planned.run_name} ({planned.run_id}), {planned.python}", *map(str, planned.gaps)]
    lines = [f"# {' '.join(remark.split())}" for remark in remarks]
    lines += ['cd "$(dirname "$0")/.."', f"cd {shlex.quote(planned.command.folder)}", planned.command.line]
    command.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return requirements, command
