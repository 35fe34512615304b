"""What an integration is: one framework's own hooks, translated into calls on a training.

A third party's integration subclasses `Integration`, is listed under the entry point group
`autotrack.integrations`, and imports nothing of its framework at the top of its module: `install` is called once the
framework has been imported by somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from autotrack.exceptions import ConfigurationError
from autotrack.instrument.patching import Patches
from autotrack.recording.lifecycle.trainings import Training, begin_training
from autotrack.training.checkpoints import POLICIES

__all__ = ["Chosen", "Integration", "Options", "SharedPatches", "Training", "begin_training"]


@dataclass(frozen=True)
class Options:
    """What can be chosen with `autolog(…)` and callbacks; the same words everywhere, a subclass may add its own.

    `run` is the run to record in: an open one, or an id, which is resumed if there is such a run. `log_every` is how
    often steps are recorded: a number of steps, "epoch", "batch", or None for as often as the framework itself reports.
    `checkpoints` is which of the files that a framework writes are kept: "none", "best", "last", "best+last", "all".
    `watch` records norms and histograms of gradients and weights: every so many steps, True for every 100.
    """

    run: Any = None
    experiment: str | None = None
    name: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    log_every: int | str | None = None
    checkpoints: str = "best+last"
    watch: bool | int = False
    log_models: bool = True
    log_input_examples: bool = True
    log_training_metrics: bool = True
    log_datasets: bool = True

    def __post_init__(self) -> None:
        if self.checkpoints not in POLICIES:
            raise ConfigurationError(f"checkpoints={self.checkpoints!r}: there are {', '.join(map(repr, POLICIES))}")


OptionsT = TypeVar("OptionsT", bound=Options)


class Integration:
    """One framework's integration; `install` and `uninstall` may follow one another any number of times.

    `watches` are the modules after whose import it is installed, `distribution` is what people install, `requires` a
    range of its versions such as ">=1.3,<3". All of it is read before the framework is imported.
    """

    watches: ClassVar[tuple[str, ...]] = ()
    distribution: ClassVar[str] = ""
    requires: ClassVar[str] = ""
    options_type: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self.options = options
        self.patches = Patches()

    def install(self) -> None:
        """Hook into the framework, which is imported; called again after the import of each watched module."""
        raise NotImplementedError

    def uninstall(self) -> None:
        """Remove every trace of `install`."""
        self.patches.undo()


class SharedPatches:
    """The patches of one framework, there as long as anybody wants them: autolog, or one callback or logger of ours.

    `put(patches)` puts them in place; it is called at each `hold`, for more may have been imported since.
    """

    def __init__(self, put: Callable[[Patches], None]) -> None:
        self.holders: set[str] = set()
        self._put = put
        self._patches = Patches()

    def hold(self, holder: str) -> None:
        """Want them."""
        self.holders.add(holder)
        self._put(self._patches)

    def release(self, holder: str) -> None:
        """Want them no more; the last holder removes everything."""
        self.holders.discard(holder)
        if not self.holders:
            self._patches.undo()


class Chosen:
    """What takes the options of a callback or logger of ours, by keyword; first among its bases.

    They are `autotrack_options` afterwards, by which the hooks of a framework know that this one is ours.
    """

    autotrack_options: Options

    def __init__(
        self,
        *,
        run: Any = None,
        experiment: str | None = None,
        name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        log_every: int | str | None = None,
        checkpoints: str = "best+last",
        log_models: bool = True,
        watch: bool | int = False,
    ) -> None:
        super().__init__()
        self.autotrack_options = Options(
            run=run, experiment=experiment, name=name, tags=tags or {}, log_every=log_every, checkpoints=checkpoints,
            log_models=log_models, watch=watch,
        )  # fmt: skip
        self.begin_to_listen()

    def begin_to_listen(self) -> None:
        """Put the hooks in place that hand on to this one."""
        raise NotImplementedError
