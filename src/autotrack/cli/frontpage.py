"""The help page of `autotrack` and `autotrack --help`: commands by group, options and examples."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from typer.core import TyperGroup

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
    """The group of all commands, with a help page of its own."""

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


def _in_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
