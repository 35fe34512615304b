"""A self-contained HTML page about many runs."""

from autotrack.outputs.report.page import write_report

__all__ = ["write_report"]
