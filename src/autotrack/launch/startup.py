"""What happens as a Python program starts under `autotrack run` or with AUTOTRACK=1: almost nothing.

The program is on the way to its first line, so that only modules which Python has loaded anyway are used here. Autolog
is switched on when the program first imports something that is not the standard library's: frameworks are not.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

FOLDER = "AUTOTRACK_JOB_FOLDER"
JOINED = "joined"
_OFF = ("0", "false", "no", "off", "")
_OWN = frozenset({"autotrack", "sitecustomize", "usercustomize", "__main__", "__mp_main__"})
_HELPERS = ("resource_tracker", "forkserver", "semaphore_tracker", "multiprocessing-fork", "popen_loky")
_waiting: list[FirstImport] = []


def begin() -> None:
    """Take part, once, in a Python that neither is one of our own nor was told to ignore its environment."""
    if _waiting or sys.flags.isolated or sys.flags.ignore_environment or _is_off() or _is_a_helper():
        return
    first = FirstImport()
    _waiting.append(first)
    sys.meta_path.insert(0, first)
    if FOLDER in os.environ:
        _join(os.environ[FOLDER])
        atexit.register(_at_exit, os.getpid())


def activate() -> None:
    """Switch autolog on now, if `begin` promised to; a second call does nothing."""
    if not _waiting or _waiting[0] not in sys.meta_path:
        return
    sys.meta_path.remove(_waiting[0])
    if _is_off():
        return
    from autotrack._guard import guarded

    with guarded("switching autolog on"):
        from autotrack.instrument.discovery import install

        install(None, {})


class FirstImport:
    """A finder that knows no module: it only notices the first import that matters, and goes."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Nothing, or for the import that made it go what the others find, who were not asked yet."""
        if path is not None or name in sys.stdlib_module_names or name in _OWN or _is_busy():
            return None
        try:
            activate()
        except Exception:  # noqa: BLE001 - a broken autotrack must not fail the program's import
            return None
        if name in sys.modules:  # autotrack has needed it, too: a second copy would break the program
            return _Present(sys.modules[name]).spec
        for finder in tuple(sys.meta_path):
            found = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if found is not None:
                return found
        return None


class _Present:
    """A loader for a module that is there already: it gives just that, and leaves it as it is.

    For a module that came while it was looked for, Python takes the spec that the module has by then, and loads that
    again. So the module has this loader's until it has been given.
    """

    def __init__(self, module: ModuleType) -> None:
        from importlib.machinery import ModuleSpec

        self._module = module
        self._own = module.__spec__
        self.spec = module.__spec__ = ModuleSpec(module.__name__, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own


def _is_off() -> bool:
    return os.environ.get("AUTOTRACK", "1").strip().lower() in _OFF


def _is_a_helper() -> bool:
    """Whether this is autotrack's own command, or serves another Python: neither is a program of the user's."""
    words = sys.orig_argv[1:4]
    if words and os.path.basename(words[0]) == "autotrack":
        return True
    if words[:1] == ["-m"] and words[1].partition(".")[0] == "autotrack":
        return True
    return any(helper in word for word in sys.orig_argv for helper in _HELPERS)


def _is_busy() -> bool:
    """Whether Python is still starting, or autotrack is being imported: too early to import any of it."""
    for name, module in tuple(sys.modules.items()):
        if (name == "site" or name.startswith("autotrack")) and getattr(
            getattr(module, "__spec__", None), "_initializing", False
        ):
            return True
    return False


def _join(folder: str) -> None:
    """Tell the launcher that this Python takes part, and which one it is."""
    version = ".".join(map(str, sys.version_info[:3]))
    environment = sys.prefix if sys.prefix != sys.base_prefix else ""
    facts = (str(os.getpid()), version, sys.implementation.name, sys.executable or "", environment)
    try:
        file = os.open(os.path.join(folder, JOINED), os.O_WRONLY | os.O_APPEND)
    except OSError:
        return  # the command has ended, and this program lives on
    try:
        os.write(file, ("\t".join(facts) + "\n").encode("utf-8", "surrogateescape"))
    finally:
        os.close(file)


def _at_exit(process: int) -> None:
    """Leave the exception that ended the program where the launcher finds it, who decides what it means."""
    error = getattr(sys, "last_value", None)
    if error is None or process != os.getpid() or hasattr(sys, "ps1") or isinstance(error, KeyboardInterrupt):
        return
    try:
        from autotrack.recording.lifecycle.job import leave_failure

        leave_failure(os.environ[FOLDER], error)
    except Exception:  # noqa: BLE001 - the program has ended; nothing of ours may be its last word
        return
