"""Which integrations there are, which of them are on, and in which state each is.

Integrations are listed under the entry point group `autotrack.integrations`. The group `autotrack.watches` names the
modules that each of them watches, so that its class is loaded only when the program has imported one of these, now or
later. An integration without an entry there is loaded when it is switched on, which is slower and otherwise the same.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from autotrack._guard import AutotrackWarning, guarded, warn_once
from autotrack.exceptions import ConfigurationError
from autotrack.instrument import import_hooks
from autotrack.instrument.versions import in_range
from autotrack.settings import switched_off

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from autotrack.instrument.integration import Integration
    from autotrack.instrument.options import Options

GROUP = "autotrack.integrations"
WATCHES = "autotrack.watches"  # the name is a module, the value the name of the integration that watches it

State = Literal["active", "waiting for import", "not installed", "unsupported version", "broken"]


@dataclass(frozen=True)
class IntegrationState:
    """The state of an integration in this process; `detail` gives the reason in one sentence, where there is one."""

    name: str
    state: State
    version: str = ""
    requires: str = ""
    detail: str = ""


_listed: dict[str, EntryPoint] = {}
_watches: dict[str, tuple[str, ...]] = {}
_classes: dict[str, type[Integration]] = {}
_on: dict[str, Mapping[str, Any]] = {}  # the options given for each integration that is switched on
_made: dict[str, Integration] = {}  # of those that are on, the ones whose framework has been imported
_installed: set[str] = set()
_problems: dict[str, tuple[State, str]] = {}


def install(names: Sequence[str] | None, options: Mapping[str, Any] | None = None) -> None:
    """Switch on the integrations `names`, by default all, with `options`; for one that is on, `options` change.

    `ConfigurationError` for an unknown name, for an option that none of them has and for a value that one of them
    refuses. An integration that cannot be loaded is one warning.
    """
    if switched_off():
        return
    chosen, given = _checked(names), dict(options or {})
    if given:
        chosen = [name for name in chosen if _loaded(name) is not None]
        _check_options(chosen, given)
    for name in chosen:
        watches = _watches_of(name)
        _on[name] = given
        if name in _made:
            _made[name].options = _options_of(_classes[name], given)
            if name in _installed:
                with guarded(f"changing the options of the {name} integration"):
                    _made[name].changed()
        if names is not None and watches and not _is_installed(watches):
            warn_once(name, f"autotrack: {_distribution_of(name)} is not installed, so {name} records nothing")
        for module in watches:
            import_hooks.when_imported(module, name, _Installer(name))


def uninstall(names: Sequence[str] | None = None) -> None:
    """Switch off the integrations `names`, by default all that are on, and remove every trace of them."""
    for name in list(_on) if names is None else _checked(names):
        if _on.pop(name, None) is None:
            continue
        for module in _watches_of(name):
            import_hooks.forget(module, name)
        _installed.discard(name)
        integration = _made.pop(name, None)
        if integration is not None:
            with guarded(f"removing the {name} integration"):
                integration.uninstall()


def is_active(name: str) -> bool:
    """Whether the integration `name` is switched on and hooked into its framework, so that trainings are recorded."""
    return name in _installed


def states() -> list[IntegrationState]:
    """The state of each known integration, by name; imports no framework and shows no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AutotrackWarning)
        return [_state(name) for name in sorted(_known())]


class _Installer:
    """Installs an integration after the import of a module that it watches."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: str) -> None:
        name, integration = self.name, _object(self.name)
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


def _object(name: str) -> Integration | None:
    """The integration as it is switched on; made at its first use. None if it is off or cannot be loaded."""
    options, kind = _on.get(name), _loaded(name)
    if options is None or kind is None:
        return None
    if name not in _made:
        _made.setdefault(name, kind(_options_of(kind, options)))  # of two threads, the first one makes it
    return _made[name]


def _known() -> dict[str, EntryPoint]:
    if not _listed:
        from autotrack.instrument.plugins import plugins

        for point in plugins(GROUP):
            _listed.setdefault(point.name, point)
        for point in plugins(WATCHES):
            _watches[point.value] = (*_watches.get(point.value, ()), point.name)
    return _listed


def _checked(names: Sequence[str] | None) -> list[str]:
    known = _known()
    for name in names or ():
        if name not in known:
            raise ConfigurationError(f"there is no integration {name!r}; there are: {', '.join(sorted(known))}")
    return sorted(known) if names is None else list(dict.fromkeys(names))


def _watches_of(name: str) -> tuple[str, ...]:
    """The modules that an integration watches; its class is loaded if its entry points do not list them."""
    if name not in _watches and (kind := _loaded(name)) is not None:
        _watches[name] = kind.watches
    return _watches.get(name, ())


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


def _check_options(names: Sequence[str], given: Mapping[str, Any]) -> None:
    """`ConfigurationError` for an option that none of these integrations has, or a value that one of them refuses."""
    known = set().union(*(_option_names(_classes[name]) for name in names))
    for option in given:
        if option not in known and names:
            raise ConfigurationError(
                f"there is no option {option!r} for {', '.join(names)}; there are: {', '.join(sorted(known))}"
            )
    for name in names:
        _options_of(_classes[name], given)


def _options_of(kind: type[Integration], given: Mapping[str, Any]) -> Options:
    """The options object of an integration, made of those `given` options that the integration has."""
    known = _option_names(kind)
    return kind.options_type(**{option: value for option, value in given.items() if option in known})


def _option_names(kind: type[Integration]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind.options_type)}


def _state(name: str) -> IntegrationState:
    integration = _loaded(name)
    if integration is None:
        state, detail = _problems[name]
        return IntegrationState(name, state, detail=detail)
    version, requires = _installed_version(integration), integration.requires
    if name in _installed:
        return IntegrationState(name, "active", version, requires)
    if name in _problems:
        state, detail = _problems[name]
        return IntegrationState(name, state, version, requires, detail)
    if not _is_installed(integration.watches):
        hint = f"{_distribution_of(name)} is not installed"
        return IntegrationState(name, "not installed", requires=requires, detail=hint)
    if not in_range(version, requires):
        return IntegrationState(name, "unsupported version", version, requires, f"supported are {requires}")
    return IntegrationState(name, "waiting for import", version, requires)


def _is_installed(watches: Sequence[str]) -> bool:
    from importlib.util import find_spec

    tops = {module.partition(".")[0] for module in watches}
    return any(top in sys.modules or find_spec(top) is not None for top in tops)


def _distribution_of(name: str) -> str:
    """The distribution that users install for an integration; the integration's name if that is not known."""
    kind = _loaded(name)
    return kind.distribution if kind is not None and kind.distribution else name


def _installed_version(integration: type[Integration]) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(integration.distribution) if integration.distribution else ""
    except PackageNotFoundError:
        return ""


def _imported_version(module: str) -> str:
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))
