"""What is particular to notebooks and IPython: runs live across cells, and cells are code without a file."""

from autotrack.recording.notebook.session import Session, forget, session

__all__ = ["Session", "forget", "session"]
