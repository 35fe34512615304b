"""Recording in notebooks and IPython, where runs stay open across cells and the code of a cell is in no file."""

from autotrack.recording.notebook.session import Session, forget, session

__all__ = ["Session", "forget", "session"]
