"""What is recorded of the installed packages."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from importlib import metadata
from pathlib import Path

from autotrack.environment import packages


def normal(name: str) -> str:
    """The name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(facts: dict[str, object]) -> dict[str, object]:
    """The packages alone."""
    return {name: value for name, value in facts.items() if name not in {"direct_urls", "lock_file"}}


def test_everything_that_is_installed(tmp_path: Path) -> None:
    """Names and versions are those that `importlib.metadata` finds by parsing all metadata."""
    expected: dict[str, str] = {}
    for distribution in metadata.distributions():
        expected.setdefault(normal(distribution.metadata["Name"]), distribution.version)
    assert versions(packages.gather(tmp_path).data) == expected
    assert "pytest" in expected


def test_first_on_the_path_counts(tmp_path: Path) -> None:
    """As for imports, the first of two versions is the one in use; a folder that is not there does not matter."""
    for folder, version in (("first", "2.0+cu121"), ("second", "1.0")):
        (tmp_path / folder / f"Some_Thing.Else-{version}.dist-info").mkdir(parents=True)
    found = packages.gather(tmp_path, [str(tmp_path / name) for name in ("none", "first", "first", "second")])
    assert found.data == {"some-thing-else": "2.0+cu121"}


def test_other_ways_to_be_installed(tmp_path: Path) -> None:
    """Eggs, archives and folders without a version in their name are read from their metadata."""
    (tmp_path / "old.egg-info").mkdir()
    (tmp_path / "old.egg-info" / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: old\nVersion: 0.3\n")
    (tmp_path / "broken-.dist-info").mkdir()
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("packed-4.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: packed\nVersion: 4.0\n")
    found = packages.gather(tmp_path, [str(tmp_path), str(tmp_path / "packed.zip")])
    assert found.data == {"old": "0.3", "packed": "4.0"}


def test_commit_that_was_installed(tmp_path: Path) -> None:
    """A package from a repository is known by its commit, without the credentials of its URL."""
    folder = tmp_path / "mine-1.0.dist-info"
    folder.mkdir()
    described = {"url": "https://ada:hunter2@example.org/mine.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    (folder / "direct_url.json").write_text(json.dumps(described))
    (tmp_path / "bad-1.0.dist-info").mkdir()
    (tmp_path / "bad-1.0.dist-info" / "direct_url.json").write_text("[")
    assert packages.gather(tmp_path, [str(tmp_path)]).data == {
        "bad": "1.0", "mine": "1.0", "direct_urls": {"mine": "https://example.org/mine.git@abc"},
    }  # fmt: skip


def test_lock_file_near_the_code(tmp_path: Path) -> None:
    """The nearest lock file up to the root of the repository counts, the more exact kind first."""
    code = tmp_path / "project" / "src" / "deep"
    code.mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("outside==1\n")
    (tmp_path / "project" / ".git").mkdir()
    assert packages.gather(code, []).data == {}
    (tmp_path / "project" / "requirements.txt").write_text("torch\n")
    lock = tmp_path / "project" / "uv.lock"
    lock.write_text("version = 1\n")
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    assert packages.gather(code, []).data == {"lock_file": {"name": "uv.lock", "path": str(lock), "digest": digest}}
    nearer = code / "environment.yml"
    nearer.write_text("dependencies: []\n")
    assert packages.gather(code, []).data["lock_file"]["name"] == "environment.yml"
