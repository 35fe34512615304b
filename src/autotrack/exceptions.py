"""Every error that autotrack raises on purpose.

    AutotrackError
    ├── ConfigurationError        a setting, URL or path that cannot be used
    ├── InvalidValueError         a value or name that cannot be recorded faithfully (also a ValueError)
    ├── FilterError               a filter or order that cannot be understood; points at the position
    ├── NotFoundError             no such run, artifact, model or metric (also a LookupError)
    ├── RunActiveError            the run is being written elsewhere, so it cannot be resumed here
    ├── StoreError                the store cannot be opened, read or written
    │   └── StoreVersionError     the store was written by a newer autotrack
    ├── JournalError              a journal cannot be created or read at all
    ├── IntegrityError            bytes do not match the digest that was recorded
    ├── ReproductionError         the code of a run cannot be built again
    ├── UntrustedModelError       loading would run code from a place that was not trusted
    └── MissingDependencyError    an optional package is needed (also an ImportError)

Inside a framework's hooks these exceptions never reach the user: each becomes one warning and one line in the
run's capture report.
"""

from __future__ import annotations


class AutotrackError(Exception):
    """The root of all errors raised by autotrack."""


class ConfigurationError(AutotrackError):
    """A setting, URL or path cannot be used; the message names it and what would work."""


class InvalidValueError(AutotrackError, ValueError):
    """A value or name cannot be recorded faithfully; the message names its key."""


class FilterError(AutotrackError, ValueError):
    """A filter or order cannot be understood.

    `text` is the filter or order as given, `position` the 0-based column of the error; the message shows both, with a
    caret under the position.
    """

    def __init__(self, problem: str, text: str = "", position: int | None = None) -> None:
        self.problem = problem
        self.text = text
        self.position = position
        message = problem
        if position is not None:
            message = f"{problem}\n  {text}\n  {' ' * position}^"
        super().__init__(message)


class NotFoundError(AutotrackError, LookupError):
    """There is no such run, artifact, model or metric."""


class RunActiveError(AutotrackError):
    """The run is being written by another process, so it cannot be resumed here."""


class StoreError(AutotrackError):
    """The store cannot be opened, read or written."""


class StoreVersionError(StoreError):
    """The store was written by a newer autotrack than this one."""


class JournalError(AutotrackError):
    """A journal cannot be created, or is not a journal."""


class IntegrityError(AutotrackError):
    """Bytes do not match the digest that was recorded for them."""


class ReproductionError(AutotrackError):
    """The code of a run cannot be built again; the message names the reason."""


class UntrustedModelError(AutotrackError):
    """Loading this model would run code that was not trusted; pass `trust=True` if it should."""


class MissingDependencyError(AutotrackError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'autotrack-ml[{extra}]'")
