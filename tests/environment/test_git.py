"""What is recorded of the code, seen on real repositories."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autotrack.environment import git, git_command
from autotrack.environment.checkout import find_repository, read_head
from autotrack.environment.facts import Absent, Facts, Unavailable
from autotrack.environment.git_command import load_gitpython

PATIENCE = 170.0


def gathered(repository: Any, **options: Any) -> Facts:
    """What is gathered for `train.py` in the repository."""
    return patiently(repository.root, script=repository.root / "train.py", **options)


def patiently(folder: Path, **options: Any) -> Facts:
    """What is gathered of a folder, however long git takes on a busy machine."""
    return git.gather(folder, limit=PATIENCE, **options)


def test_clean_checkout_is_its_commit(repository: Any) -> None:
    """Of a clean checkout the commit, branch and entry point say everything; there is no patch."""
    facts = gathered(repository)
    assert facts.data["commit"] == repository.git("rev-parse", "HEAD")
    assert facts.data["branch"] == "main"
    assert facts.data["root"] == str(repository.root)
    assert facts.data["entry_point"] == "train.py"
    assert facts.data["kind"] == "checkout"
    assert facts.data["dirty"] is False
    assert facts.data["detached"] is False
    assert facts.data["remote"] is None
    assert facts.data["changed"] == facts.data["untracked"] == []
    assert facts.files == {}
    assert facts.missing == ()


def test_patch_turns_the_commit_into_what_ran(repository: Any, tmp_path: Path) -> None:
    """Changed, added, deleted, staged and binary files, with odd names, come back from commit and patch."""
    repository.commit(**{"old.py": "gone = 1\n", "data.bin": "x", "spaß im wald.py": "a = 1\n"})
    repository.write("train.py", "lr = 0.2\nprint(lr)\n")
    repository.write("spaß im wald.py", "a = 2\n")
    repository.write("data.bin", bytes(range(256)) * 20)
    repository.write("new/added.py", "x = 1\n")
    repository.git("add", "new/added.py", "train.py")
    (repository.root / "old.py").unlink()
    repository.write("notes.txt", "untracked")

    facts = gathered(repository)

    assert facts.data["dirty"] is True
    assert set(facts.data["changed"]) == {"train.py", "spaß im wald.py", "data.bin", "new/added.py", "old.py"}
    assert facts.data["untracked"] == ["notes.txt"]
    again = tmp_path / "again"
    subprocess.run(["git", "clone", "-q", str(repository.root), str(again)], check=True)
    subprocess.run(
        ["git", "-C", str(again), "apply", "--index", "-"], input=facts.files["git/changes.patch"], check=True
    )
    for name in ("train.py", "spaß im wald.py", "data.bin", "new/added.py"):
        assert (again / name).read_bytes() == (repository.root / name).read_bytes()
    assert not (again / "old.py").exists()


def test_patch_is_the_same_whatever_the_user_prefers(repository: Any, git_home: Path) -> None:
    """Settings for the user's own eyes (colour, prefixes, word diff, order) do not get into the patch."""
    repository.write("train.py", "lr = 0.3\nprint(lr)\n")
    plain = gathered(repository).files["git/changes.patch"]
    with git_home.open("a") as config:
        config.write("[color]\nui = always\n[diff]\nnoprefix = true\nmnemonicPrefix = true\nrenames = copies\n")
        config.write("context = 0\nrelative = true\nsubmodule = log\n[status]\nshowUntrackedFiles = no\n")
    repository.write("notes.txt", "untracked")
    facts = gathered(repository)
    assert facts.files["git/changes.patch"] == plain
    assert facts.data["untracked"] == ["notes.txt"]


def test_touched_file_is_not_a_change(repository: Any) -> None:
    """A file with a new time and the old content makes nothing dirty, and leaves no heading in the patch."""
    os.utime(repository.root / "model.py", (1, 1))
    assert gathered(repository).data["dirty"] is False
    repository.write("train.py", "lr = 5\n")
    assert b"model.py" not in gathered(repository).files["git/changes.patch"]


def test_index_is_not_touched(repository: Any) -> None:
    """Git may refresh its index on any look at the files; ours leaves it as it is, byte for byte."""
    index = repository.root / ".git" / "index"
    os.utime(repository.root / "model.py", (1, 1))
    repository.write("train.py", "lr = 5\n")
    before = (hashlib.sha256(index.read_bytes()).hexdigest(), index.stat().st_mtime_ns, index.stat().st_ino)
    gathered(repository, untracked=True)
    assert (hashlib.sha256(index.read_bytes()).hexdigest(), index.stat().st_mtime_ns, index.stat().st_ino) == before
    assert not (repository.root / ".git" / "index.lock").exists()
    repository.git("status")
    assert hashlib.sha256(index.read_bytes()).hexdigest() != before[0], "git itself would have refreshed it"


def test_no_program_of_the_configuration_runs(repository: Any, git_home: Path, tmp_path: Path) -> None:
    """Hooks, filters, text conversions, external diffs and monitors that a configuration names are not executed."""
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{ran}'\ncat 2>/dev/null\n")
    program.chmod(0o755)
    repository.commit(**{".gitattributes": "*.txt filter=shout diff=words\n*.long filter=stay\n", "a.txt": "a\n"})
    repository.commit(**{"b.long": "b\n", "c.txt": "c\n"})
    hooks = repository.root / ".git" / "hooks"
    for hook in ("post-index-change", "pre-commit", "fsmonitor-watchman"):
        (hooks / hook).write_text(program.read_text())
        (hooks / hook).chmod(0o755)
    settings = {
        "filter.shout.clean": str(program), "filter.shout.smudge": str(program), "filter.shout.required": "true",
        "filter.stay.process": str(program), "filter.stay.required": "true", "diff.words.textconv": str(program),
        "diff.words.command": str(program), "diff.external": str(program), "core.fsmonitor": str(program),
        "core.pager": str(program), "pager.status": str(program), "core.sshCommand": str(program),
    }  # fmt: skip
    for name, value in settings.items():
        repository.git("config", name, value)
    repository.write("a.txt", "changed\n")
    repository.write("b.long", "changed\n")
    repository.write("train.py", "lr = 0.4\n")
    os.utime(repository.root / "c.txt", (1, 1))

    facts = gathered(repository, untracked=True)

    assert not ran.exists(), ran.read_text()
    assert facts.data["dirty"] is True
    assert set(facts.data["filtered"]) == {"a.txt", "b.long"}
    assert any("filter" in sentence for sentence in facts.missing)
    assert b"lr = 0.4" in facts.files["git/changes.patch"]
    assert b"a.txt" not in facts.files["git/changes.patch"]
    subprocess.run(["git", "-C", str(repository.root), "status"], capture_output=True)
    assert ran.exists(), "git itself would have run them"


def test_nothing_is_fetched_from_a_promisor(repository: Any, tmp_path: Path) -> None:
    """In a partial clone git would fetch what is missing; ours does without, and says that there is no patch."""
    ran = tmp_path / "ran"
    blob = repository.git("rev-parse", "HEAD:train.py")
    settings = {
        "core.repositoryformatversion": "1", "extensions.partialClone": "origin", "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::touch {ran}", "protocol.ext.allow": "always",
    }  # fmt: skip
    for name, value in settings.items():
        repository.git("config", name, value)
    (repository.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    repository.write("train.py", "lr = 0.5\n")
    facts = gathered(repository)
    assert not ran.exists()
    assert facts.data["dirty"] is True
    assert facts.missing
    subprocess.run(["git", "-C", str(repository.root), "diff"], capture_output=True)
    assert ran.exists(), "git itself would have fetched"


def test_variables_of_another_repository_are_ignored(
    repository: Any, new_repository: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a git hook GIT_DIR and others point elsewhere; the code's own repository counts."""
    other = new_repository("other")
    other.commit(**{"x.py": "x\n"})
    gathered(repository)  # with the first answer GitPython asks for the version, in its own way
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.root / ".git" / "objects"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=0")
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(tmp_path / "trace"))
    repository.write("train.py", "lr = 0.6\nprint(lr)\n")
    facts = gathered(repository)
    monkeypatch.undo()
    assert facts.data["commit"] == repository.git("rev-parse", "HEAD")
    assert b"lr = 0.6" in facts.files["git/changes.patch"]
    assert b" print(lr)" in facts.files["git/changes.patch"]
    assert not (tmp_path / "trace").exists()


def test_variables_that_cannot_be_made_harmless(
    repository: Any, git_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the configuration hidden git is not asked; with another repository's references nothing is read."""
    ran = tmp_path / "ran"
    repository.commit(**{".gitattributes": "*.py filter=shout\n"})
    repository.git("config", "filter.shout.clean", f"touch '{ran}'; cat")
    repository.write("train.py", "lr = 0.6\n")
    monkeypatch.setenv("GIT_CONFIG", str(git_home))
    facts = gathered(repository)
    assert not ran.exists()
    assert facts.data["branch"] == "main"
    assert "GIT_CONFIG" in facts.missing[0]
    monkeypatch.setenv("GIT_COMMON_DIR", str(tmp_path))
    with pytest.raises(Unavailable, match="GIT_COMMON_DIR"):
        gathered(repository)


def test_linked_worktree(repository: Any, tmp_path: Path) -> None:
    """A worktree has its own branch and changes, and shares the repository's remote."""
    repository.git("remote", "add", "origin", "https://example.org/team/project.git")
    repository.git("worktree", "add", "-q", "-b", "trial", str(tmp_path / "trial"))
    (tmp_path / "trial" / "train.py").write_text("lr = 9\n")
    facts = patiently(tmp_path / "trial")
    assert facts.data["kind"] == "worktree"
    assert facts.data["branch"] == "trial"
    assert facts.data["commit"] == repository.git("rev-parse", "trial")
    assert facts.data["remote"] == "https://example.org/team/project.git"
    assert facts.data["changed"] == ["train.py"]


def test_submodule_has_its_own_state(repository: Any, new_repository: Callable[[str], Any]) -> None:
    """Code in a submodule is that repository's; the outer one knows the submodule's commit and that it is dirty."""
    inner = new_repository("inner")
    inner.commit(**{"lib.py": "a = 1\n"})
    repository.git("submodule", "add", "-q", str(inner.root), "libs/inner")
    repository.commit()
    clean = gathered(repository)
    assert clean.data["dirty"] is False
    assert clean.data["submodules"] == [
        {"path": "libs/inner", "commit": inner.git("rev-parse", "HEAD"), "dirty": False}
    ]
    (repository.root / "libs" / "inner" / "lib.py").write_text("a = 2\n")

    inside = patiently(repository.root / "libs" / "inner")
    assert inside.data["kind"] == "submodule"
    assert inside.data["commit"] == inner.git("rev-parse", "HEAD")
    assert b"a = 2" in inside.files["git/changes.patch"]
    outside = gathered(repository)
    assert outside.data["dirty"] is True
    assert outside.data["submodules"][0]["dirty"] is True
    assert "libs/inner" in outside.missing[0]


def test_submodule_that_cannot_be_read(repository: Any, new_repository: Callable[[str], Any]) -> None:
    """Of a submodule in a state that git refuses to tell, nothing is claimed; the rest is there."""
    inner = new_repository("inner")
    inner.commit(**{"lib.py": "a = 1\n"})
    repository.git("submodule", "add", "-q", str(inner.root), "libs/inner")
    repository.commit()
    (repository.root / ".git" / "modules" / "libs" / "inner" / "index").write_bytes(b"damaged")
    repository.write("notes.txt", "untracked")
    facts = gathered(repository)
    assert "dirty" not in facts.data
    assert facts.data["untracked"] == ["notes.txt"]
    assert "index" in facts.missing[0]
    repository.write("train.py", "lr = 0.8\n")
    facts = gathered(repository)
    assert facts.data["dirty"] is True
    assert b"lr = 0.8" in facts.files["git/changes.patch"]


def test_detached_head(repository: Any) -> None:
    """Without a branch there is still the commit."""
    first = repository.git("rev-parse", "HEAD")
    repository.commit(**{"train.py": "lr = 1\n"})
    repository.git("checkout", "-q", first)
    facts = gathered(repository)
    assert facts.data["commit"] == first
    assert facts.data["branch"] is None
    assert facts.data["detached"] is True


def test_repository_before_its_first_commit(new_repository: Callable[[str], Any]) -> None:
    """There is no commit yet; what is staged is in the patch, the rest is untracked."""
    empty = new_repository("empty")
    nothing = patiently(empty.root)
    assert nothing.data["commit"] is None
    assert nothing.data["branch"] == "main"
    assert nothing.data["dirty"] is False
    assert nothing.data["detached"] is False
    empty.write("train.py", "lr = 1\n")
    empty.write("other.py", "x\n")
    empty.git("add", "train.py")
    staged = patiently(empty.root)
    assert staged.data["untracked"] == ["other.py"]
    assert b"+lr = 1" in staged.files["git/changes.patch"]


def test_repository_with_long_object_names(tmp_path: Path, git_home: Path) -> None:
    """SHA-256 repositories work, before and after the first commit."""
    root = tmp_path / "long"
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(root)], check=True, capture_output=True)
    (root / "train.py").write_text("lr = 1\n")
    subprocess.run(["git", "-C", str(root), "add", "train.py"], check=True)
    assert b"+lr = 1" in patiently(root).files["git/changes.patch"]
    subprocess.run(["git", "-C", str(root), "commit", "-qm", "x"], check=True)
    commit = patiently(root).data["commit"]
    assert len(commit) == 64
    load_gitpython()
    with find_repository(root) as found:
        assert read_head(found)[0] == commit


def test_bare_repository(repository: Any, tmp_path: Path) -> None:
    """A bare repository has a commit and nothing to compare it with."""
    bare = tmp_path / "project.git"
    repository.git("clone", "-q", "--bare", str(repository.root), str(bare))
    facts = patiently(bare)
    assert facts.data["kind"] == "bare"
    assert facts.data["commit"] == repository.git("rev-parse", "HEAD")
    assert facts.data["branch"] == "main"
    assert "dirty" not in facts.data
    assert facts.files == {}


def test_folder_in_no_repository(tmp_path: Path) -> None:
    """Outside a repository there is nothing, and nothing went wrong."""
    with pytest.raises(Absent, match="not in a git repository"):
        patiently(tmp_path)


@pytest.mark.parametrize("name", ["train.py", "deep/train.py"])
def test_repository_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A checkout whose repository is elsewhere and out of reach (a container) is not the same as none."""
    (tmp_path / ".git").write_text("gitdir: /nowhere/.git/worktrees/trial\n")
    folder = (tmp_path / name).parent
    folder.mkdir(exist_ok=True)
    with pytest.raises(Unavailable, match="git repository") as caught:
        patiently(folder)
    assert not isinstance(caught.value, Absent)


def test_without_git_the_commit_is_still_known(
    repository: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git the commit, branch and remote are read from the files, loose or packed; the rest is named."""
    repository.git("remote", "add", "origin", "https://example.org/team/project.git")
    commit = repository.git("rev-parse", "HEAD")
    repository.git("worktree", "add", "-q", "-b", "trial", str(tmp_path / "trial"))
    repository.git("pack-refs", "--all")
    monkeypatch.setenv("PATH", str(tmp_path))
    for folder, branch in ((repository.root, "main"), (tmp_path / "trial", "trial")):
        facts = patiently(folder)
        assert (facts.data["commit"], facts.data["branch"]) == (commit, branch)
        assert facts.data["remote"] == "https://example.org/team/project.git"
        assert "git is not installed" in facts.missing[0]


def test_slow_git_is_stopped(repository: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that does not answer in time is killed; the commit is known all the same. Time is up once it has begun."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 600\n")
    slow.chmod(0o755)
    commit = repository.git("rev-parse", "HEAD")
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    pid = tmp_path / "pid"

    def once_it_has_begun() -> float:
        while not (pid.exists() and pid.read_text().endswith("\n")):
            time.sleep(0.01)
        return time.monotonic() + PATIENCE

    monkeypatch.setattr(git_command, "time", SimpleNamespace(monotonic=once_it_has_begun))
    facts = gathered(repository)
    assert facts.data["commit"] == commit
    assert "took too long" in facts.missing[0]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_filter_that_cannot_be_switched_off(repository: Any, tmp_path: Path) -> None:
    """A filter whose name cannot be said on git's command line keeps us from asking git; the commit is known."""
    ran = tmp_path / "ran"
    repository.git("config", "filter.a=b.clean", f"touch '{ran}'; cat")
    repository.commit(**{".gitattributes": "*.py filter=a=b\n"})
    ran.unlink(missing_ok=True)
    repository.write("train.py", "lr = 0.7\n")
    facts = gathered(repository)
    assert not ran.exists()
    assert facts.data["commit"] == repository.git("rev-parse", "HEAD")
    assert "cannot be switched off" in facts.missing[0]


def test_git_that_cannot_be_started(repository: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken program on the path is named, and the commit is known."""
    broken = tmp_path / "bin" / "git"
    broken.parent.mkdir()
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    facts = gathered(repository)
    assert facts.data["branch"] == "main"
    assert "cannot be started" in facts.missing[0]


def test_refusing_git_is_named(repository: Any) -> None:
    """When git refuses (a damaged index here) its own words are in the reason."""
    (repository.root / ".git" / "index").write_bytes(b"damaged")
    facts = gathered(repository)
    assert facts.data["commit"]
    assert "index" in facts.missing[0]


def test_remote_is_that_of_the_branch(repository: Any) -> None:
    """The remote that the branch follows comes before `origin`, and that before any other."""
    repository.git("remote", "add", "backup", "https://example.org/backup.git")
    assert gathered(repository).data["remote"] == "https://example.org/backup.git"
    repository.git("remote", "add", "origin", "git@example.org:team/project.git")
    assert gathered(repository).data["remote"] == "git@example.org:team/project.git"
    repository.git("config", "branch.main.remote", "backup")
    assert gathered(repository).data["remote"] == "https://example.org/backup.git"


def test_recordings_are_left_out(repository: Any) -> None:
    """`.autotrack`, and the place of the recordings whatever its name, count neither as changes nor as untracked."""
    repository.commit(**{".autotrack/store.db": "1", "records/journals/a": "1"})
    repository.write(".autotrack/store.db", "2")
    repository.write("records/journals/a", "2")
    repository.write("records/new", "2")
    repository.write("sub/.autotrack/x", "2")
    facts = gathered(repository, leave_out=repository.root / "records", untracked=True)
    assert facts.data["dirty"] is False
    assert facts.data["changed"] == facts.data["untracked"] == []
    assert facts.files == {}
    repository.write("train.py", "lr = 3\n")
    patch = gathered(repository, leave_out=repository.root / "records").files["git/changes.patch"]
    assert patch.count(b"diff --git") == 1


def test_untracked_contents_on_request(repository: Any, tmp_path: Path) -> None:
    """Small regular files are kept with their bytes; links, pipes and large files are not opened, and named."""
    outside = tmp_path / "outside.txt"
    outside.write_text("not of this repository")
    repository.write("notes/a.txt", b"\xff\x00bytes")
    repository.write("large.bin", bytes(git.LARGEST_FILE + 1))
    (repository.root / "link").symlink_to(outside)
    os.mkfifo(repository.root / "pipe")
    assert gathered(repository).files == {}
    facts = gathered(repository, untracked=True)
    assert facts.files == {"git/untracked/notes/a.txt": b"\xff\x00bytes"}
    assert "large.bin" in facts.data["untracked"]
    assert any("2 untracked" in sentence for sentence in facts.missing)


def test_large_changes_stay_out_of_the_patch(repository: Any) -> None:
    """A changed file beyond the limit is listed, and the others' changes are still in the patch."""
    repository.commit(**{"table.csv": "1\n"})
    repository.write("table.csv", "2\n" * git.LARGEST_FILE)
    repository.write("train.py", "lr = 7\n")
    facts = gathered(repository)
    assert facts.data["too_large"] == ["table.csv"]
    assert b"table.csv" not in facts.files["git/changes.patch"]
    assert b"lr = 7" in facts.files["git/changes.patch"]


def test_names_that_are_no_text(repository: Any) -> None:
    """File names of arbitrary bytes are listed in a readable form."""
    if sys.platform == "darwin":
        pytest.skip("the file system of macOS takes only UTF-8 names")
    Path(os.fsdecode(os.fsencode(repository.root) + b"/odd-\xff.txt")).write_text("x")
    facts = gathered(repository, untracked=True)
    assert facts.data["untracked"] == ["odd-\\xff.txt"]
    assert facts.files == {"git/untracked/odd-\\xff.txt": b"x"}


@pytest.mark.parametrize("name", ["$HOME", "~", "in the forest", "-c", "a:b"])
def test_folder_with_an_odd_name(new_repository: Callable[[str], Any], name: str) -> None:
    """A checkout's folder may be called what means something elsewhere."""
    odd = new_repository(f"odd/{name}")
    commit = odd.commit(**{"train.py": "lr = 1\n"})
    odd.write("train.py", "lr = 2\n")
    facts = gathered(odd)
    assert facts.data["root"] == str(odd.root)
    assert facts.data["commit"] == commit
    assert b"lr = 2" in facts.files["git/changes.patch"]


def test_conflict_in_the_middle_of_a_merge(repository: Any) -> None:
    """Files in conflict are changes, and the patch shows them as they lie there."""
    repository.git("checkout", "-q", "-b", "side")
    repository.commit(**{"train.py": "lr = 1\n"})
    repository.git("checkout", "-q", "main")
    repository.commit(**{"train.py": "lr = 2\n"})
    subprocess.run(["git", "-C", str(repository.root), "merge", "-q", "side"], capture_output=True)
    facts = gathered(repository)
    assert facts.data["changed"] == ["train.py"]
    assert b"<<<<<<<" in facts.files["git/changes.patch"]


def test_script_reached_through_a_link(repository: Any, tmp_path: Path) -> None:
    """A checkout is found from inside any of its folders, and the entry point is named from its root."""
    script = repository.write("src/deep/run.py", "pass\n")
    facts = patiently(script.parent, script=script)
    assert facts.data["root"] == str(repository.root)
    assert facts.data["entry_point"] == "src/deep/run.py"
    assert facts.data["untracked"] == ["src/"]


@pytest.mark.parametrize("state", ["branch", "packed", "detached", "empty"])
def test_head_is_read_as_git_reads_it(repository: Any, new_repository: Callable[[str], Any], state: str) -> None:
    """Commit and branch that are read from the files are those that git names."""
    if state == "packed":
        repository.git("checkout", "-q", "-b", "feature/deep")
        repository.git("pack-refs", "--all")
    elif state == "detached":
        repository.git("checkout", "-q", "--detach")
    elif state == "empty":
        repository = new_repository("nothing")
    load_gitpython()
    with find_repository(repository.root) as found:
        commit, branch = read_head(found)
    known = subprocess.run(["git", "-C", str(repository.root), "rev-parse", "HEAD"], capture_output=True, text=True)
    assert commit == (known.stdout.strip() if known.returncode == 0 else None)
    assert branch == (repository.git("branch", "--show-current") or None)


@pytest.mark.parametrize("content", ["ref: refs/heads/.invalid\n", "", "ref:\n", "nonsense\n"])
def test_head_that_only_git_can_read(repository: Any, content: str) -> None:
    """What stands for a table of references, or was damaged, is taken for neither a commit nor a branch."""
    load_gitpython()
    with find_repository(repository.root) as found:
        (repository.root / ".git" / "HEAD").write_text(content)
        assert read_head(found) == (None, None)


def test_empty_reference(repository: Any) -> None:
    """A branch whose file a power cut has emptied is known by name; nothing is compared with nothing."""
    (repository.root / ".git" / "refs" / "heads" / "main").write_text("")
    facts = gathered(repository)
    assert facts.data["branch"] == "main"
    assert facts.data["commit"] is None
    assert "dirty" not in facts.data
    assert facts.missing == ("git cannot read what is checked out",)
