"""The command `reproduce`: how to reproduce a run, and the gaps that cannot be reproduced."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.environment import FRAMEWORKS
from autotrack.cli.session import Json, LastRunArgument, UsageError, reading, shown_path

if TYPE_CHECKING:
    from autotrack.outputs.reproduction import Built, Reproduction

DIFFERS = 1
FEW = 12


def reproduce(
    run: LastRunArgument = "last",
    into: Annotated[
        str | None, typer.Option("--into", metavar="DIR", help="Build the checkout there; a new or empty folder.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="REPO", help="Take the commit from this repository, a path or URL.")
    ] = None,
    requirements: Annotated[
        bool, typer.Option("--requirements", help="Print the requirements file and nothing else.")
    ] = False,
    json: Json = False,
) -> None:
    """Say how to do a run again, and what cannot be reproduced.

    Of the project nothing is executed: neither its code nor its hooks and filters. Exit code 1: the checkout that was
    built differs from what was recorded.
    """
    if source is not None and into is None:
        raise UsageError("--from is for --into DIR")
    if requirements and (json or into is not None):
        raise UsageError("--requirements goes with neither --json nor --into")
    with reading("null" if json else None, wanted=[run] if run != "last" else ()) as reader:
        from autotrack.outputs.reproduction import plan

        planned = plan(reader.get(run), reader.get)
        if requirements:
            screen.write(planned.requirements.text)
            return
        built = None
        if into is not None:
            with screen.working("building the checkout"):
                built = planned.build(into, repository=source)
        if json:
            screen.show_json(shape(planned, built))
        else:
            _show(planned, built)
    if built is not None and built.differing:
        raise typer.Exit(DIFFERS)


def shape(planned: Reproduction, built: Built | None) -> dict[str, Any]:
    """Return the data that `--json` prints; keys are added, never renamed or removed."""
    code, lock = planned.code, planned.requirements.lock
    patch = None if code.patch is None else {"size": code.patch.size, "digest": code.patch.digest}
    return {
        "id": planned.run_id,
        "name": planned.run_name,
        "surroundings": planned.surroundings,
        "code": {
            "commit": code.commit, "branch": code.branch, "remote": code.remote, "entry_point": code.entry_point,
            "source": None if planned.source is None else str(planned.source), "patch": patch,
            "untracked": sorted(code.untracked),
        },
        "python": planned.python,
        "requirements": list(planned.requirements.lines),
        "lock_file": None if lock is None else {"name": lock.name, "digest": lock.digest, "path": lock.path},
        "command": {
            "argv": list(planned.command.argv), "folder": planned.command.folder, "env": dict(planned.command.env),
        },
        "gaps": [{"what": gap.what, "message": gap.message} for gap in planned.gaps],
        "built": None if built is None else {
            "folder": str(built.folder), "source": built.source, "same": built.same,
            "requirements": str(built.requirements), "command": str(built.command),
            "differing": [{"what": gap.what, "message": gap.message} for gap in built.differing],
        },
    }  # fmt: skip


def _show(planned: Reproduction, built: Built | None) -> None:
    from rich.text import Text

    screen.show(Text(screen.visible(planned.run_name), style="bold").append(f"  {planned.run_id}", "dim not bold"))
    _part("Code", _code_lines(planned, built))
    if built is not None:
        _part("Compared with the record", _comparison(built))
    _part("Python", [planned.python] if planned.python else [])
    _part("Packages", _package_lines(planned, built))
    folder = planned.command.folder
    place = [f"cd {shlex.quote(folder)}"] if folder != "." else []
    _part("Command", [*place, planned.command.line] if planned.command.argv else [])
    _part("Cannot be reproduced", map(str, planned.gaps))


def _part(title: str, lines: Iterable[str]) -> None:
    from rich.text import Text

    found = list(lines)
    if found:
        screen.show("", Text(title, style="bold"), *(f"  {screen.visible(line)}" for line in found))


def _code_lines(planned: Reproduction, built: Built | None) -> Iterator[str]:
    code = planned.code
    if code.commit is None:
        return
    if built is not None:
        yield f"{shown_path(built.folder)}: commit {code.commit[:10]} from {built.source}"
        return
    source = planned.source or code.remote
    if source is not None:
        yield f"git clone --no-checkout {shlex.quote(str(source))} DIR && cd DIR"
    yield f"git checkout --detach {code.commit}"
    if code.patch is not None:
        yield f"git apply --index {shlex.quote(str(code.patch.path()))}"
    if code.untracked:
        yield f"and {wording.counted(len(code.untracked), 'untracked file')}: {', '.join(sorted(code.untracked)[:FEW])}"
    yield f"or all of it: autotrack reproduce {planned.run_id} --into DIR"


def _comparison(built: Built) -> Iterator[str]:
    yield f"the commit, and {wording.counted(built.same, 'changed or untracked file')}, byte for byte"
    yield from map(str, built.differing)


def _package_lines(planned: Reproduction, built: Built | None) -> Iterator[str]:
    lines = planned.requirements.lines
    if not lines:
        return
    if built is not None:
        yield f"pip install -r {shown_path(built.requirements)}  ({wording.counted(len(lines), 'package')})"
    elif screen.is_terminal() and len(lines) > FEW:
        yield from [line for line in lines if line.partition("==")[0] in FRAMEWORKS][:FEW]
        yield f"{wording.counted(len(lines), 'package')} in all: autotrack reproduce {planned.run_id} --requirements"
    else:
        yield from lines
    lock = planned.requirements.lock
    if lock is not None:
        yield f"lock file: {lock.name} (SHA-256 {lock.digest[:12]})"
