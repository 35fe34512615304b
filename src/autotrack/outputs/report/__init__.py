"""One page of HTML about many runs, which opens anywhere and loads nothing."""

from autotrack.outputs.report.page import write_report

__all__ = ["write_report"]
