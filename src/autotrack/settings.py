"""Settings from code, from the environment (AUTOTRACK_*), from pyproject's [tool.autotrack], or the defaults.

`Settings` is frozen; `load` resolves one from these four sources, in this order of precedence. `find_place` decides
where the data is stored.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from autotrack._process import on_reset, started_in
from autotrack.exceptions import ConfigurationError
from autotrack.place import Place

FOLDER = ".autotrack"
GATHERERS = (
    "git", "git_patch", "git_untracked", "packages", "hardware", "process", "scheduler", "notebook", "seeds",
    "system", "console",
)  # fmt: skip
OFF_BY_DEFAULT = frozenset({"git_untracked"})
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


@dataclass(frozen=True)
class Settings:
    """All settings. Sizes in bytes, durations in seconds; a limit of None means no limit."""

    dir: str | None = None
    store: str | None = None
    sinks: tuple[str, ...] = ()
    experiment: str | None = None
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    quiet: bool = False
    capture: Mapping[str, bool] = field(default_factory=dict)
    exit_timeout: float = 30.0
    monitor_interval: float = 10.0
    model_limit: int | None = 200 << 20
    models_per_run_limit: int | None = 2 << 30
    environment_timeout: float = 10.0
    background_fold: int | None = 256 << 20

    def captures(self, what: str) -> bool:
        """Whether the gatherer `what` (one of `GATHERERS`) is switched on."""
        return self.enabled and self.capture.get(what, what not in OFF_BY_DEFAULT)

    def with_changes(self, changes: Mapping[str, Any]) -> Settings:
        """A copy with `changes`; `ConfigurationError` for an unknown name or a value that cannot be used."""
        return replace(self, **{name: _checked(name, value) for name, value in changes.items()})


_in_code: dict[str, Any] = {}


def load(changes: Mapping[str, Any] | None = None, start: Path | None = None) -> Settings:
    """The settings of this program with the working directory `start`, as they would be after `changes` in code.

    `AUTOTRACK=0` overrides everything; otherwise code overrides the environment, which overrides pyproject.
    """
    start = start or working_folder()
    settings = Settings().with_changes(_from_pyproject(start) if start is not None else {})
    settings = settings.with_changes(_from_environment())
    settings = settings.with_changes({**_in_code, **(changes or {})})
    return replace(settings, enabled=False) if switched_off() else settings


def change_in_code(changes: Mapping[str, Any]) -> None:
    """Keep `changes`, which `load` has accepted, for the rest of this process."""
    _in_code.update(changes)


on_reset(_in_code.clear)


def switched_off() -> bool:
    """Whether the environment variable `AUTOTRACK` is set to 0, false, no, off or the empty string."""
    return os.environ.get("AUTOTRACK", "1").strip().lower() in _FALSE


def find_place(settings: Settings, start: Path | None = None) -> Place:
    """The folder for the data of a program with the working directory `start`.

    `dir` if it is set; else the nearest `.autotrack` upwards, else `.autotrack` in the root of the git checkout, else
    in the working directory. The home folder's own `.autotrack` counts only if the program runs in the home folder.
    """
    start = start or working_folder()
    if settings.dir:
        folder = Path(os.path.expanduser(settings.dir))
        if not folder.is_absolute():
            folder = (start or Path(os.sep)) / folder
        return Place(folder, "chosen by AUTOTRACK_DIR or configure(dir=…)")
    if start is None:
        return replace(fallback_place(), reason="the current folder does not exist any more")
    home = _home()
    for folder in (start, *start.parents):
        if folder == home and start != home:
            continue
        if (folder / FOLDER).is_dir():
            return Place(folder / FOLDER, "the nearest .autotrack folder upwards")
    for folder in (start, *start.parents):
        if folder == home and start != home:
            break
        if (folder / ".git").exists():
            return Place(folder / FOLDER, "the root of the git checkout")
    return Place(start / FOLDER, "the current folder")


def fallback_place() -> Place:
    """The folder for the data if that of `find_place` cannot be written: the user's data folder.

    A user without a home folder, as in some containers, has one in the folder for temporary files.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    folder = Path(os.path.expanduser(base), "autotrack")
    if not folder.is_absolute():
        import tempfile

        folder = Path(tempfile.gettempdir(), f"autotrack-{getattr(os, 'getuid', lambda: 'data')()}")
    return Place(folder, "the proper place cannot be written")


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def working_folder() -> Path | None:
    """The current folder; None if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _from_environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in fields(Settings):
        text = os.environ.get(f"AUTOTRACK_{setting.name.upper()}")
        if text is not None and setting.name != "enabled":
            found[setting.name] = text
    if found.get("dir"):  # a path relative to where the program began, whatever folder it has changed to
        found["dir"] = os.path.join(started_in or os.sep, os.path.expanduser(found["dir"]))
    return found


def _from_pyproject(start: Path) -> dict[str, Any]:
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if b"[tool.autotrack" not in content:
            return {}
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        try:
            return dict(tomllib.loads(content.decode()).get("tool", {}).get("autotrack", {}))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return {}


def _checked(name: str, value: Any) -> Any:
    kinds = {setting.name: str(setting.type) for setting in fields(Settings)}
    if name not in kinds:
        raise ConfigurationError(f"unknown setting {name!r}; there are: {', '.join(sorted(kinds))}")
    try:
        return _READERS[kinds[name]](value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"setting {name!r} cannot be {value!r}: {error}") from error


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else os.fspath(value)


def _texts(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


def _mapping(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        value = dict(part.split("=", 1) for part in value.split(",") if part.strip())
    return {str(key).strip(): str(text) for key, text in dict(value).items()}


def _switch(value: Any) -> bool:
    if isinstance(value, str):
        if value.strip().lower() in _TRUE:
            return True
        if value.strip().lower() in _FALSE:
            return False
        raise ValueError("it is either on or off")
    return bool(value)


def _switches(value: Any) -> dict[str, bool]:
    if isinstance(value, str):
        value = {
            part.strip().removeprefix("-"): not part.strip().startswith("-")
            for part in value.split(",")
            if part.strip()
        }
    switches = {str(key): _switch(on) for key, on in dict(value).items()}
    for key in switches:
        if key not in GATHERERS:
            raise ValueError(f"{key!r} cannot be captured; there are: {', '.join(GATHERERS)}")
    return switches


def _number(value: Any) -> float:
    number = float(value)
    if not number >= 0:
        raise ValueError("it must not be negative")
    return number


def _size(value: Any) -> int | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in {"none", "unlimited"}):
        return None
    if isinstance(value, str):
        text = value.strip().upper().removesuffix("B").removesuffix("I")
        unit = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1:], 0)
        return int(float(text[:-1] if unit else text) * (1 << unit))
    return int(value)


# How a value is read that code, the environment or pyproject gives, by the type of the setting. A text may stand for
# any of them ("off", "2GB", "a=1,b=2"), which no general converter knows.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "str | None": _text,
    "tuple[str, ...]": _texts,
    "Mapping[str, str]": _mapping,
    "Mapping[str, bool]": _switches,
    "bool": _switch,
    "float": _number,
    "int | None": _size,
}
