"""Which integrations there are, which of them are on, and in which state each is.

Integrations are found under the entry point group `autotrack.integrations`. Switching one on imports no framework: it
is installed when the program has imported what it watches, now or later.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from autotrack._guard import AutotrackWarning, guarded, warn_once
from autotrack.exceptions import ConfigurationError
from autotrack.instrument import hooks
from autotrack.instrument.versions import in_range
from autotrack.settings import switched_off

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "autotrack.integrations"

State = Literal["active", "waiting for import", "not installed", "unsupported version", "broken"]


class Integration(Protocol):
    """What is needed of an integration here; `autotrack.integrations.base.Integration` has it all."""

    watches: Any
    distribution: Any
    requires: Any
    options_type: Any
    options: Any

    def __init__(self, options: Any) -> None: ...
    def install(self) -> None: ...
    def uninstall(self) -> None: ...


@dataclass(frozen=True)
class IntegrationState:
    """How an integration stands in this process; `detail` says in one sentence why, where that is not obvious."""

    name: str
    state: State
    version: str = ""
    requires: str = ""
    detail: str = ""


_entry_points: dict[str, EntryPoint] = {}
_classes: dict[str, type[Integration]] = {}
_on: dict[str, Integration] = {}
_installed: set[str] = set()
_problems: dict[str, tuple[State, str]] = {}


def install(names: Sequence[str] | None, options: Mapping[str, Any] | None = None) -> None:
    """Switch on the integrations `names`, by default all, with `options`; for one that is on, `options` change.

    `ConfigurationError` for a name that no integration has and for an option that none of them knows. An
    integration that cannot be loaded is one warning.
    """
    if switched_off():
        return
    classes = {name: found for name in _checked(names) if (found := _loaded(name)) is not None}
    given = _checked_options(classes, dict(options or {}))
    for name, integration in classes.items():
        if name in _on:
            _on[name].options = given[name]
        else:
            _on[name] = integration(given[name])
        if names is not None and not _is_installed(integration):
            warn_once(
                name, f"autotrack: {integration.distribution or name} is not installed, so {name} records nothing"
            )
        for module in integration.watches:
            hooks.when_imported(module, name, _Listener(name))


def uninstall(names: Sequence[str] | None = None) -> None:
    """Switch off the integrations `names`, by default all that are on, and remove every trace of them."""
    for name in list(_on) if names is None else _checked(names):
        integration = _on.pop(name, None)
        if integration is None:
            continue
        for module in integration.watches:
            hooks.forget(module, name)
        _installed.discard(name)
        with guarded(f"removing the {name} integration"):
            integration.uninstall()


def is_on(name: str) -> bool:
    """Whether the integration `name` is switched on."""
    return name in _on


def is_active(name: str) -> bool:
    """Whether the integration `name` is switched on and hooked into its framework, so that trainings are recorded."""
    return name in _installed


def states() -> list[IntegrationState]:
    """How each known integration stands, by name; imports no framework and warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AutotrackWarning)
        return [_state(name) for name in sorted(_known())]


class _Listener:
    """Installs an integration after the import of what it watches."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: str) -> None:
        name, integration = self.name, _on.get(self.name)
        if integration is None:
            return
        version = _imported_version(module)
        if not in_range(version, integration.requires):
            problem = f"{integration.distribution or module} {version} is not supported, only {integration.requires}"
            _problems[name] = ("unsupported version", problem)
            warn_once(name, f"autotrack: {problem}; its trainings are not recorded", ValueError)
            return
        with guarded(f"installing the {name} integration") as attempt:
            integration.install()
        if attempt.failed:
            _problems[name] = ("broken", attempt.reason)
            with guarded(f"removing the {name} integration"):
                integration.uninstall()
        else:
            _problems.pop(name, None)
            _installed.add(name)


def _known() -> dict[str, EntryPoint]:
    if not _entry_points:
        from importlib.metadata import entry_points

        _entry_points.update({point.name: point for point in entry_points(group=GROUP)})
    return _entry_points


def _checked(names: Sequence[str] | None) -> list[str]:
    known = _known()
    for name in names or ():
        if name not in known:
            raise ConfigurationError(f"there is no integration {name!r}; there are: {', '.join(sorted(known))}")
    return sorted(known) if names is None else list(dict.fromkeys(names))


def _loaded(name: str) -> type[Integration] | None:
    if name not in _classes:
        with guarded(f"loading the {name} integration") as attempt:
            try:
                _classes[name] = _known()[name].load()
                _problems.pop(name, None)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("autotrack"):
                    raise
                _problems[name] = ("not installed", f"it needs {error.name}, which is not installed")
        if attempt.failed:
            _problems[name] = ("broken", attempt.reason)
    return _classes.get(name)


def _checked_options(classes: Mapping[str, type[Integration]], options: dict[str, Any]) -> dict[str, Any]:
    """The options object of each integration."""
    known = {name: {field.name for field in dataclasses.fields(found.options_type)} for name, found in classes.items()}
    everything = set().union(*known.values())
    for option in options:
        if option not in everything and classes:
            raise ConfigurationError(
                f"there is no option {option!r} for {', '.join(classes)}; there are: {', '.join(sorted(everything))}"
            )
    return {
        name: found.options_type(**{key: value for key, value in options.items() if key in known[name]})
        for name, found in classes.items()
    }


def _state(name: str) -> IntegrationState:
    integration = _loaded(name)
    if integration is None:
        state, detail = _problems[name]
        return IntegrationState(name, state, detail=detail)
    version, requires = _installed_version(integration), str(integration.requires)
    if name in _installed:
        return IntegrationState(name, "active", version, requires)
    if name in _problems:
        state, detail = _problems[name]
        return IntegrationState(name, state, version, requires, detail)
    if not _is_installed(integration):
        hint = f"{integration.distribution or name} is not installed"
        return IntegrationState(name, "not installed", requires=requires, detail=hint)
    if not in_range(version, requires):
        return IntegrationState(name, "unsupported version", version, requires, f"supported are {requires}")
    return IntegrationState(name, "waiting for import", version, requires)


def _is_installed(integration: type[Integration]) -> bool:
    from importlib.util import find_spec

    tops = {module.partition(".")[0] for module in integration.watches}
    return any(top in sys.modules or find_spec(top) is not None for top in tops)


def _installed_version(integration: type[Integration]) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(integration.distribution) if integration.distribution else ""
    except PackageNotFoundError:
        return ""


def _imported_version(module: str) -> str:
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))
