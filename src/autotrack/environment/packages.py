"""Installed packages: every distribution's name and version, and the lock file beside the code.

Names and versions are read from the names of the metadata folders, as installers write them; metadata is parsed by
`importlib.metadata` only where a folder's name does not follow that pattern.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from autotrack.environment.facts import Facts
from autotrack.environment.imports import loading
from autotrack.environment.redaction import redact_url

LOCK_FILES = (
    "uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml",
    "conda-lock.yaml", "requirements.lock", "requirements.txt", "environment.yml", "environment.yaml",
)  # fmt: skip
LARGEST_LOCK = 128 << 10  # bytes; kept files are searched for secrets while the training runs
_FOLDER = re.compile(r"(?P<name>[A-Za-z0-9][\w.]*)-(?P<version>\d[^-]*)\.dist-info")
_SEPARATORS = re.compile(r"[-_.]+")


def gather(folder: Path, path: Sequence[str] | None = None) -> Facts:
    """The version of every distribution on `path` (`sys.path`) by normalised name ("scikit-learn").

    Beside them, under names that no distribution can have: `lock_file`, the nearest one from `folder` upwards to the
    root of its repository, and `direct_urls` of what was not installed from an index (a checkout, a commit). The
    content of a small lock file is the file `packages/<its name>`.
    """
    versions: dict[str, str] = {}
    urls: dict[str, str] = {}
    for name, version, metadata in _distributions(sys.path if path is None else path):
        normal = _SEPARATORS.sub("-", name).lower()
        if normal in versions:
            continue
        versions[normal] = version
        url = _direct_url(metadata)
        if url:
            urls[normal] = url
    data: dict[str, object] = dict(sorted(versions.items()))
    if urls:
        data["direct_urls"] = urls
    files: dict[str, bytes] = {}
    found = _lock_file(folder)
    if found:
        lock, content = found
        data["lock_file"] = lock
        if len(content) <= LARGEST_LOCK:
            files[f"packages/{lock['name']}"] = content
    return Facts(data, files)


def _distributions(path: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Name, version and metadata folder of each distribution, in the order in which imports would find them."""
    seen: set[str] = set()
    for entry in path:
        folder = os.path.realpath(entry or os.curdir)
        if folder in seen:
            continue
        seen.add(folder)
        try:
            names = os.listdir(folder)
        except NotADirectoryError:
            yield from _parsed(folder)
            continue
        except OSError:
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            match = _FOLDER.fullmatch(name)
            if match:
                yield match["name"], match["version"], os.path.join(folder, name)
            else:
                yield from _parsed(folder, name)


def _parsed(folder: str, only: str = "") -> Iterator[tuple[str, str, str]]:
    """Like `_distributions`, from the parsed metadata: for an archive on the path or a folder named in another way."""
    with loading():
        from importlib import metadata

    found = [metadata.Distribution.at(os.path.join(folder, only))] if only else metadata.distributions(path=[folder])
    for distribution in found:
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        if name and version:
            yield name, version, os.path.join(folder, only)


def _direct_url(metadata: str) -> str | None:
    try:
        with open(os.path.join(metadata, "direct_url.json"), encoding="utf-8") as file:
            described = json.load(file)
        url = redact_url(str(described["url"]))
        commit = described.get("vcs_info", {}).get("commit_id")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return f"{url}@{commit}" if commit else url


def _lock_file(folder: Path) -> tuple[dict[str, str], bytes] | None:
    for place in (folder, *folder.parents):
        for name in LOCK_FILES:
            try:
                content = (place / name).read_bytes()
            except OSError:
                continue
            digest = hashlib.sha256(content).hexdigest()
            return {"name": name, "path": str(place / name), "digest": digest}, content
        if (place / ".git").exists():
            return None
    return None
