"""The command line: one file per group of commands."""

from autotrack.cli.app import main

__all__ = ["main"]
