"""The options of the Keras integration and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from autotrack.exceptions import ConfigurationError
from autotrack.integrations.base import Options


@dataclass(frozen=True)
class KerasOptions(Options):
    """The options of every integration; `log_every` counts epochs unless it says otherwise.

    `log_every="epoch"`, the default, records one row per epoch, whose step is Keras' own number of the epoch, from 0.
    With "batch", or a number n for every n-th batch, rows are recorded per batch, and the step of everything is the
    number of the batch since the first epoch, from 0.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batches_per_row is None and self.log_every not in (None, "epoch"):
            raise ConfigurationError(
                f'log_every={self.log_every!r}: use "epoch", "batch" or a whole number of batches from 1 on'
            )

    @property
    def batches_per_row(self) -> int | None:
        """After how many batches a row is recorded; None for one row per epoch."""
        if self.log_every == "batch":
            return 1
        if type(self.log_every) is int and self.log_every >= 1:
            return self.log_every
        return None


class Holder(Protocol):
    """An object that needs the hooks in Keras: the integration, for autolog, or a callback."""

    options: Any  # `KerasOptions`, or those of every integration
