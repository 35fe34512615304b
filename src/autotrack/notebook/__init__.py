"""What is particular to notebooks and IPython: runs live across cells, and cells are code without a file."""

from autotrack.notebook.extension import load_ipython_extension, unload_ipython_extension
from autotrack.notebook.session import Session, forget, session

__all__ = ["Session", "forget", "load_ipython_extension", "session", "unload_ipython_extension"]
