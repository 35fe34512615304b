"""The command `autotrack`: its options, its groups of commands, and how it ends.

Exit codes: 0 done (also where nothing is recorded yet), 1 an error, 2 a wrong command line or filter, 130 Ctrl-C,
141 the reader of the output closed the pipe. An error is one line on stderr; AUTOTRACK_DEBUG=1 shows its traceback.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Annotated, NoReturn

import typer

from autotrack.cli import screen
from autotrack.cli.frontpage import FrontPage
from autotrack.cli.session import NothingRecorded, UsageError, say_empty
from autotrack.exceptions import AutotrackError, FilterError

ERROR, USAGE, INTERRUPTED = 1, 2, 130
_CommandError: type[Exception] = UsageError.__mro__[1]

app = typer.Typer(
    name="autotrack", cls=FrontPage, rich_markup_mode=None, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        screen.write(f"autotrack {version('autotrack-ml')}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    folder: Annotated[
        str | None, typer.Option("--dir", metavar="PATH", help="The folder of the data, as AUTOTRACK_DIR.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Every training run, recorded by itself."""
    if folder is not None:
        os.environ["AUTOTRACK_DIR"] = os.path.abspath(os.path.expanduser(folder))
    if context.invoked_subcommand is None:
        screen.write(context.get_help() + "\n")


def main() -> NoReturn:
    """Run the command line of this process, and exit."""
    screen.prepare()
    if not _debugging():
        sys.excepthook = _say_error
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> int:
    try:
        code = typer.main.get_command(app).main(prog_name="autotrack", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except NothingRecorded as empty:
        say_empty(empty)
        return 0
    except _CommandError as error:
        hint = _hint(error) if isinstance(error, UsageError) else ""
        screen.say(f"error: {error.format_message()}{hint}")  # type: ignore[attr-defined]
        return USAGE if isinstance(error, UsageError) else ERROR
    except (AutotrackError, OSError) as error:
        if _debugging():
            raise
        screen.say(f"error: {error}")
        return USAGE if isinstance(error, FilterError) else ERROR
    return code if isinstance(code, int) else 0


def _hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f" (see: {context.command_path} --help)" if context is not None else ""


def _say_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A `sys.excepthook` that reports an unexpected error in one line, too."""
    text = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    screen.say(f"error: {kind.__name__}: {text} (AUTOTRACK_DEBUG=1 shows where)")


def _debugging() -> bool:
    return os.environ.get("AUTOTRACK_DEBUG", "") not in ("", "0")
