"""The command `doctor`: checks everything that recording needs, and suggests what to do about problems."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.recovering import unreadable_journals
from autotrack.cli.session import Json
from autotrack.cli.tables import Cell, Column, Table

if TYPE_CHECKING:
    from autotrack.recording.collector import Collector

Verdict = Literal["ok", "note", "problem"]

PACKAGES = (
    "autotrack-ml", "sqlalchemy", "alembic", "numpy", "msgspec", "lark", "markupsafe", "packaging", "psutil",
    "gitpython", "obstore", "nvidia-ml-py", "typer", "rich",
)  # fmt: skip
OPTIONAL = ("pyarrow", "pandas", "polars", "matplotlib", "plotly", "skops")
LEAST_FREE, LEAST_SHARE = 10 << 30, 0.05
_STYLES = {"ok": "green", "note": "yellow", "problem": "red"}


@dataclass(frozen=True)
class Finding:
    """The result of one check: the part of the output it belongs to, its subject, a verdict and details."""

    part: str
    subject: str
    verdict: Verdict
    detail: str


def doctor(json: Json = False) -> None:
    """Check the installation, the integrations and the place.

    Exits with 1 if something is wrong.
    """
    from autotrack.recording.collector import collector

    owner = collector()
    findings = [finding for look in LOOKS for finding in look(owner)]
    problems = sum(finding.verdict == "problem" for finding in findings)
    if json:
        screen.show_json({"problems": problems, "findings": [asdict(finding) for finding in findings]})
    else:
        _show(findings)
        screen.show("", "all is well" if not problems else wording.counted(problems, "problem"))
    if problems:
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    from autotrack.cli.tables import title

    for number, part in enumerate(dict.fromkeys(finding.part for finding in findings)):
        title(part, first=not number)
        table = Table(
            [Column("", style="cyan", longest=24), Column(""), Column("", shortest=20)], indent=2, titles=False
        )
        for finding in findings:
            if finding.part == part:
                table.add(finding.subject, Cell(finding.verdict, _STYLES[finding.verdict]), finding.detail)
        table.show()


def _installation(owner: Collector) -> Iterator[Finding]:
    part = "Installed"
    here = f"{platform.python_implementation()} {platform.python_version()} · {platform.platform(terse=True)}"
    yield Finding(part, "python", "ok", f"{here} · {sys.executable}")
    for name in PACKAGES:
        version = _version(name)
        if version is None:
            yield Finding(part, name, "problem", "not installed: pip install --upgrade autotrack-ml")
        else:
            yield Finding(part, name, "ok", version)
    for name in OPTIONAL:
        version = _version(name)
        if version is not None:
            yield Finding(part, name, "ok", f"{version} (optional)")


def _switch(owner: Collector) -> Iterator[Finding]:
    part = "Recording"
    from autotrack.settings import switched_off

    if switched_off() or not owner.settings.enabled:
        yield Finding(part, "switch", "note", "off: AUTOTRACK=0, or enabled = false in the settings")
    else:
        yield Finding(part, "switch", "ok", "on; AUTOTRACK=0 switches it off")
    off = [name for name, on in owner.settings.capture.items() if not on]
    if off:
        yield Finding(part, "capture", "note", f"switched off: {', '.join(off)}")


def _integrations(owner: Collector) -> Iterator[Finding]:
    from autotrack.instrument.discovery import states

    part = "Integrations"
    for state in states():
        verdict: Verdict = "ok"
        if state.state in ("broken", "unsupported version"):
            verdict = "problem"
        elif state.state == "not installed":
            verdict = "note"
        said = {"waiting for import": "works"}.get(state.state, state.state)
        supported = f"supported: {state.requires}" if state.requires and state.state != "unsupported version" else ""
        yield Finding(
            part,
            state.name,
            verdict,
            " · ".join(text for text in (said, state.version, state.detail, supported) if text),
        )


def _sinks(owner: Collector) -> Iterator[Finding]:
    from autotrack.exceptions import ConfigurationError
    from autotrack.sinks.opening import open_sink, sink_name

    for url in owner.settings.sinks:
        try:
            open_sink(url).close()
        except ConfigurationError as error:
            yield Finding("Sinks", sink_name(url), "problem", str(error))
        else:
            yield Finding("Sinks", sink_name(url), "ok", "configured; autotrack sync delivers what is left")


def _place(owner: Collector) -> Iterator[Finding]:
    part, place = "Place", owner.place
    yield Finding(part, "folder", "ok", f"{place.path} ({place.reason})")
    nearest = next((folder for folder in (place.path, *place.path.parents) if folder.exists()), place.path)
    if not os.access(nearest, os.W_OK | os.X_OK):
        from autotrack.settings import fallback_place

        yield Finding(
            part, "writing", "problem", f"{nearest} cannot be written; runs go to {fallback_place().path} instead"
        )
    else:
        yield Finding(
            part, "writing", "ok", "can be written" if nearest == place.path else "will be made at the first run"
        )
    yield _free_disk(part, nearest)
    from autotrack.journal.host import SHARED, filesystem

    kind = filesystem(nearest)
    if kind in SHARED:
        yield Finding(
            part, "file system", "note", f"{kind}, shared between machines: one at a time takes up new records"
        )
    elif kind:
        yield Finding(part, "file system", "ok", kind)


def _free_disk(part: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total if usage.total else 0.0
    detail = f"{wording.size(usage.free)} free of {wording.size(usage.total)}"
    if usage.free < LEAST_FREE or share < LEAST_SHARE:
        return Finding(part, "disk", "note", f"only {detail}; autotrack gc frees what no run needs")
    return Finding(part, "disk", "ok", detail)


def _journals(owner: Collector) -> Iterator[Finding]:
    from autotrack.journal.reader import journals

    part = "Records"
    found = list(journals(owner.place.journals))
    if found:
        live = sum(journal.state().value == "live" for journal in found)
        yield Finding(
            part,
            "journals",
            "ok",
            f"{wording.counted(len(found), 'journal')} not taken up yet, {live} of live processes",
        )
    for name, error in unreadable_journals(owner.place):
        yield Finding(part, f"journal {name[:8]}", "problem", f"{error}: {owner.place.journals / name}")


def _store(owner: Collector) -> Iterator[Finding]:
    part = "Records"
    if owner.settings.store is None and not owner.place.database.exists():
        yield Finding(part, "store", "ok", "not made yet; the first command that reads makes it")
        return
    from autotrack.exceptions import AutotrackError
    from autotrack.query.upkeep import store_state

    try:
        state = store_state(owner.place, owner.settings.store)
    except AutotrackError as error:
        yield Finding(part, "store", "problem", str(error))
        return
    detail = f"schema {state.revision}, {wording.counted(state.runs, 'run')}"
    if state.writable:
        yield Finding(part, "store", "ok", detail)
    else:
        yield Finding(part, "store", "note", f"{detail}, cannot be written: answers come from a copy")


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


LOOKS: tuple[Callable[[Collector], Iterator[Finding]], ...] = (
    _switch, _place, _store, _journals, _integrations, _sinks, _installation,
)  # fmt: skip
