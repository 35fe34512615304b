"""The commands `run` and `logs`: launch and record a command, and print its recorded output."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from autotrack.cli import screen
from autotrack.cli.session import Json, LastRunArgument, UsageError, reading

PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def run(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND…", help="As python train.py --lr 0.1.", show_default=False)
    ] = None,
    module: Annotated[
        bool, typer.Option("-m", help="COMMAND is a module: autotrack run -m train is python -m train.")
    ] = False,
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", metavar="NAME", help="By default the script's name.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", metavar="NAME", help="The name of the run.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", metavar="KEY=VALUE", help="A tag; repeatable.")
    ] = None,
    sink: Annotated[
        list[str] | None, typer.Option("--sink", metavar="URL", help="Also record there; repeatable.")
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="Do not keep what the command writes.")] = False,
) -> None:
    """Run a command and record what it trains, without any code in it.

    Its terminal, output, signals and exit code are as without autotrack.
    """
    words = (["-m"] if module else []) + (command or [])
    if not command:
        raise UsageError("which command? As in: autotrack run python train.py")
    tags = dict(_tag(text) for text in tag or ())
    if sys.platform == "win32":
        raise UsageError("autotrack run is for Linux and macOS; on Windows set AUTOTRACK=1 for the command")
    from autotrack.launch.command import CommandError
    from autotrack.launch.launcher import LaunchOptions, launch

    try:
        code = launch(words, LaunchOptions(experiment, name, tags, tuple(sink or ()), console=not no_console))
    except CommandError as error:
        screen.say(f"error: {error}")
        code = error.code
    raise typer.Exit(code)


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--tag {text!r}: write KEY=VALUE")
    return key, value


def logs(run: LastRunArgument = "last", json: Json = False) -> None:
    """Print what the command of a run wrote, as it was kept."""
    with reading("null" if json else None, wanted=[run] if run != "last" else ()) as reader:
        record = reader.get(run)
        if json:
            screen.show_json({"id": record.id, "console": record.console})
        elif record.console:
            screen.write(screen.visible(record.console))
        else:
            silent = f"the command of {record.name} printed nothing that was kept"
            unheard = f"nothing was kept of what {record.name} wrote: autotrack run keeps it"
            screen.say(silent if record.kind == "job" else unheard)
