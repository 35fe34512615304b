"""The commands of `autotrack`, imported one by one as they are needed, and the help page that lists them all."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "Record": {"run": "launching"},
    "Look": {
        "runs": "listing", "show": "showing", "compare": "comparing", "best": "listing", "pareto": "listing",
        "history": "history", "logs": "launching",
    },
    "Export": {"export": "exporting", "report": "exporting", "reproduce": "reproducing"},
    "Change": dict.fromkeys(("tag", "note", "rename", "delete", "restore"), "changes"),
    "Maintenance": {"where": "upkeep", "recover": "recovering", "sync": "upkeep", "gc": "upkeep", "doctor": "doctor"},
}  # fmt: skip
"""The commands by panel of the help page, each a function of its name in a module of this package."""

EXAMPLES = (
    "autotrack runs",
    'autotrack runs "params.lr > 0.01 and metrics.val/loss.min < 0.2"',
    "autotrack runs --order-by=-metrics.val/accuracy.max --columns id,name,lr",
    "autotrack show last~1",
    "autotrack compare baseline-3 baseline-4",
    "autotrack best val/accuracy --mode max",
)
FOOT = (
    "RUN is an id or the beginning of one, a name, last, or last~2 (the second before it).\n"
    "Every command has --help, and --json for programs."
)


class FrontPage(TyperGroup):
    """The group of all commands, with a help page of its own. A command is imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, in the order of the help page."""
        return [name for panel in COMMANDS.values() for name in panel]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; None if there is none, with all commands known for a suggestion."""
        wanted = [cmd_name] if cmd_name in self.list_commands(ctx) else self.list_commands(ctx)
        for name in wanted:
            if name not in self.commands:
                self.commands[name] = _command(name)
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page: groups of commands in the order of registration, then examples."""
        bold, dim, plain = ("\033[1m", "\033[2m", "\033[0m") if _in_colour() else ("", "", "")
        write = formatter.write
        write(f"{bold}autotrack{plain} — every training run, recorded by itself\n\n")
        write("  autotrack [--dir PATH] COMMAND …\n")
        panels: dict[str, list[Any]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panels.setdefault(getattr(command, "rich_help_panel", None) or "More", []).append(command)
        for title, commands in panels.items():
            write(f"\n{bold}{title}{plain}\n")
            for command in commands:
                write(f"  {command.name:<10} {dim}{command.get_short_help_str(limit=66)}{plain}\n")
        write(f"\n{bold}Options{plain}\n")
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None:
                write(f"  {record[0]:<22} {dim}{re.split('[.,]', record[1])[0]}{plain}\n")
        write(f"\n{bold}Examples{plain}\n")
        for example in EXAMPLES:
            write(f"  {example}\n")
        write(f"\n{dim}{FOOT}{plain}\n")


def _command(name: str) -> Any:
    panel, module = next((panel, found[name]) for panel, found in COMMANDS.items() if name in found)
    home = import_module(f"autotrack.cli.{module}")
    alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    settings = home.PASSED_ON if name == "run" else None
    alone.command(name, rich_help_panel=panel, context_settings=settings)(getattr(home, name))
    return typer.main.get_command(alone)


def _in_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
