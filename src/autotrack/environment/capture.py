"""Capture of a run's environment by independent gatherers, each with a time limit, and redaction of their facts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from autotrack._guard import guarded
from autotrack.environment.entry import code_folder, entry_script
from autotrack.environment.facts import Absent, Facts, Unavailable, within
from autotrack.environment.imports import loading
from autotrack.environment.redaction import has_secret, redact_mapping, withhold_hunks
from autotrack.settings import Settings


@dataclass(frozen=True)
class Captured:
    """One section of a run's context, ready to be recorded: plain data without secrets.

    `files` holds contents by slash-separated name. `masked` lists what was withheld: dotted paths inside `data`, names
    of files, hunks of the patch. `unavailable` says what could not be gathered; `data` may still hold the rest.
    `absent` is True if there is nothing to gather (no repository, say) and nothing failed.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    masked: list[str] = field(default_factory=list)
    unavailable: str | None = None
    absent: bool = False


@dataclass(frozen=True)
class _Request:
    settings: Settings
    place: Path
    script: Path | None
    folder: Path


def capture(
    settings: Settings,
    place: Path,
    emit: Callable[[Captured], None],
    *,
    script: Path | None = None,
    only: Collection[str] | None = None,
) -> None:
    """Gather the sections that the settings enable, the cheapest first, and pass each to `emit` as soon as it is done.

    Meant for a background thread. A gatherer that takes longer than `settings.environment_timeout` is given up on and
    reported as unavailable; for one that finds nothing (no scheduler, no notebook) nothing is emitted. `place` is the
    folder of the recordings, which the state of the code leaves out. `script` is the entry script as it was known
    earlier: once a script has run to its end, Python forgets its path. `only` limits the capture to these sections.
    """
    with loading():
        import_module("autotrack.environment.secret_text")
    script = script or entry_script()
    request = _Request(settings, place, script, code_folder(script))
    for name, gatherer in _GATHERERS.items():
        if not settings.captures(name) or (only is not None and name not in only):
            continue
        try:
            captured = within(settings.environment_timeout, name, partial(_captured, name, gatherer, request))
        except Unavailable as reason:
            captured = Captured(name, unavailable=str(reason), absent=isinstance(reason, Absent))
        if captured.data or captured.files or captured.unavailable:
            with guarded(f"recording {name}"):
                emit(captured)


def _captured(name: str, gatherer: Callable[[_Request], Facts], request: _Request) -> Captured:
    """Run `gatherer` and redact its facts; names of packages are not checked, since one may be called `google-auth`."""
    facts = gatherer(request)
    data, masked = redact_mapping(facts.data, names=name != "packages")
    files: dict[str, bytes] = {}
    withheld: list[str] = []
    for file, content in facts.files.items():
        kept, left_out = _safe_file(file, content)
        withheld += left_out
        if kept:
            files[_plain(file)] = kept
    if withheld:
        data["withheld"] = withheld
    return Captured(name, _plain(data), files, masked + _plain(withheld), "; ".join(facts.missing) or None)


def _safe_file(name: str, content: bytes) -> tuple[bytes, list[str]]:
    text = content.decode("utf-8", errors="surrogateescape")
    if name.endswith(".patch"):
        kept, withheld = withhold_hunks(text)
        return kept.encode("utf-8", errors="surrogateescape"), withheld
    return (b"", [name]) if has_secret(text) else (content, [])


def _plain(value: Any) -> Any:
    """Return the value with every text made encodable as UTF-8: file names and arguments may hold any bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _process(request: _Request) -> Facts:
    with loading():
        from autotrack.environment import process
    return process.gather(request.script)


def _scheduler(_: _Request) -> Facts:
    with loading():
        from autotrack.environment import scheduler
    return scheduler.gather()


def _notebook(_: _Request) -> Facts:
    with loading():
        from autotrack.environment import notebook
    return notebook.gather()


def _seeds(_: _Request) -> Facts:
    with loading():
        from autotrack.environment import seeds
    return seeds.gather()


def _packages(request: _Request) -> Facts:
    with loading():
        from autotrack.environment import packages
    return packages.gather(request.folder)


def _git(request: _Request) -> Facts:
    with loading():
        from autotrack.environment import git
    return git.gather(
        request.folder,
        script=request.script,
        leave_out=request.place,
        patch=request.settings.captures("git_patch"),
        untracked=request.settings.captures("git_untracked"),
        limit=request.settings.environment_timeout,
    )


def _hardware(request: _Request) -> Facts:
    with loading():
        from autotrack.environment import hardware
    return hardware.gather(request.settings.environment_timeout)


_GATHERERS: dict[str, Callable[[_Request], Facts]] = {
    "process": _process,
    "scheduler": _scheduler,
    "notebook": _notebook,
    "seeds": _seeds,
    "packages": _packages,
    "git": _git,
    "hardware": _hardware,
}
