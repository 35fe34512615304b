"""What is particular to notebooks and IPython: runs live across cells, and cells are code without a file."""

from autotrack.notebook.extension import load_ipython_extension, unload_ipython_extension
from autotrack.notebook.output import Keeper, keep_output_by
from autotrack.notebook.session import Session, forget, session

__all__ = [
    "Keeper",
    "Session",
    "forget",
    "keep_output_by",
    "load_ipython_extension",
    "session",
    "unload_ipython_extension",
]
