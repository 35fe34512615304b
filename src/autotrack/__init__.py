"""Records every training run by itself: parameters, metrics, models, code and machine.

    import autotrack

    autotrack.autolog()                                  # every framework that is or will be imported
    with autotrack.start_run("baseline", params={"lr": 0.1}) as run:
        run.log({"train/loss": 0.3}, step=10)
    autotrack.runs("params.lr > 0.01").to_pandas()

Names are imported when they are first used: importing autotrack costs milliseconds and imports no framework.
"""

from __future__ import annotations

from autotrack import _process, _wiring  # noqa: F401 - where the program began
from autotrack.instrument import names as _names

TYPE_CHECKING = False  # type checkers take it as True; importing `typing` would cost more than the rest of this module
if TYPE_CHECKING:
    from typing import Any

    from autotrack._api import *  # noqa: F403 - the types of what `__all__` lists

__version__ = "0.1.0"

__all__ = [
    "AutotrackError", "AutotrackWarning", "Run", "active_run", "autolog", "best", "configure", "diff", "finish",
    "get_run", "load_model", "log", "log_artifact", "log_artifacts", "log_dataset", "log_dict", "log_figure",
    "log_metric", "log_metrics", "log_model", "log_param", "log_params", "log_table", "log_text", "note", "paused",
    "reproduce", "runs", "set_experiment", "set_tags", "start_run",
]  # fmt: skip

_LIGHT = {  # names that are imported from their own modules, without loading `_api`
    "AutotrackError": "autotrack.exceptions",
    "AutotrackWarning": "autotrack._guard",
    "autolog": "autotrack.launch.autolog",
}
_FOR_IPYTHON = ("load_ipython_extension", "unload_ipython_extension")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _FOR_IPYTHON:
        return getattr(import_module("autotrack.launch.ipython"), name)
    if name not in __all__:
        raise AttributeError(f"module 'autotrack' has no attribute {name!r}")
    value = getattr(import_module(_LIGHT.get(name, "autotrack._api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


_wiring.connect()
_names.offer()
