"""Doing a run again: its code, packages, Python and command line, and what of it cannot be had again."""

from autotrack.outputs.reproduction.building import Built
from autotrack.outputs.reproduction.planning import Reproduction, plan

__all__ = ["Built", "Reproduction", "plan"]
