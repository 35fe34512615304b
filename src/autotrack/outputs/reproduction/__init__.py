"""Reproduction of a run: its code, packages, Python and command line, and the gaps that cannot be reproduced."""

from autotrack.outputs.reproduction.building import Built
from autotrack.outputs.reproduction.planning import Reproduction, plan

__all__ = ["Built", "Reproduction", "plan"]
