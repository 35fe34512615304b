"""Doing a run again: its code, packages, Python and command line, and what of it cannot be had again."""

from autotrack.reproducing.building import Built
from autotrack.reproducing.plan import Reproduction, plan

__all__ = ["Built", "Reproduction", "plan"]
