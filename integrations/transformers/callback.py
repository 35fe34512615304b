"""The callbacks that users choose: by object, or by `report_to="autotrack"`."""

from __future__ import annotations

import sys

from transformers.integrations import integration_utils

from autotrack.integrations.base import TakesOptions
from autotrack.integrations.transformers.carrier import Carrier
from autotrack.integrations.transformers.hooks import hooks
from autotrack.integrations.transformers.packages import TRAINER

NAME = "autotrack"


class AutotrackCallback(TakesOptions, Carrier):
    """Records the trainings of the trainer that it is given to, with or without autolog.

        Trainer(..., callbacks=[AutotrackCallback(experiment="tiny-bert")])

    Options are those of `autotrack.integrations.base.Options`.
    """

    def install_hooks(self) -> None:
        _observe()


class Reporter(Carrier):
    """The callback that `report_to="autotrack"` adds."""

    def __init__(self) -> None:
        _observe()


def offer() -> None:
    """Register `Reporter` with transformers under the name "autotrack", for `report_to`."""
    integration_utils.INTEGRATION_TO_CALLBACK.setdefault(NAME, Reporter)


def _observe() -> None:
    if TRAINER in sys.modules:
        hooks.hold("callback")
