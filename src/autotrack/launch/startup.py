"""Start-up code in Python programs under `autotrack run` or with AUTOTRACK=1.

It runs before the program's first line and therefore uses only modules that Python has loaded anyway. Autolog is
switched on when the program first imports a module outside the standard library, as frameworks are.
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
    """Install `FirstImport` and, in a launched command, register this process with the launcher; once per process.

    Does nothing if Python ignores its environment, if autotrack is off, or in autotrack's own and helper processes.
    """
    if _waiting or sys.flags.isolated or sys.flags.ignore_environment or _is_off() or _is_a_helper():
        return
    first = FirstImport()
    _waiting.append(first)
    sys.meta_path.insert(0, first)
    if FOLDER in os.environ:
        _join(os.environ[FOLDER])
        atexit.register(_at_exit, os.getpid())


def activate() -> None:
    """Switch autolog on now, if `begin` has prepared it; a second call does nothing."""
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
    """Meta path finder that switches autolog on at the first import from outside the standard library.

    It finds no module itself, and removes itself then.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None, or for the import that switched autolog on the spec that the other finders return."""
        if path is not None or name in sys.stdlib_module_names or name in _OWN or _is_busy():
            return None
        try:
            activate()
        except Exception:  # noqa: BLE001 - a broken autotrack must not fail the program's import
            return None
        if name in sys.modules:  # autotrack has imported it meanwhile: a second copy would break the program
            return _Present(sys.modules[name]).spec
        for finder in tuple(sys.meta_path):
            found = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if found is not None:
                return found
        return None


class _Present:
    """Loader that returns an already imported module unchanged.

    If a module was imported while Python searched for its spec, Python uses the module's `__spec__` instead and loads
    the module again. So `__spec__` is one with this loader until the module has been returned.
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
    """Whether this process is autotrack's own command or a helper of multiprocessing or loky, not a user's program."""
    words = sys.orig_argv[1:4]
    if words and os.path.basename(words[0]) == "autotrack":
        return True
    if words[:1] == ["-m"] and words[1].partition(".")[0] == "autotrack":
        return True
    return any(helper in word for word in sys.orig_argv for helper in _HELPERS)


def _is_busy() -> bool:
    """Whether Python is still starting or autotrack is being imported, so that autotrack cannot be imported yet."""
    for name, module in tuple(sys.modules.items()):
        if (name == "site" or name.startswith("autotrack")) and getattr(
            getattr(module, "__spec__", None), "_initializing", False
        ):
            return True
    return False


def _join(folder: str) -> None:
    """Register this process with the launcher: append a line with pid, version, implementation, path and venv."""
    version = ".".join(map(str, sys.version_info[:3]))
    environment = sys.prefix if sys.prefix != sys.base_prefix else ""
    facts = (str(os.getpid()), version, sys.implementation.name, sys.executable or "", environment)
    try:
        file = os.open(os.path.join(folder, JOINED), os.O_WRONLY | os.O_APPEND)
    except OSError:
        return  # the command has ended, and this program has outlived it
    try:
        os.write(file, ("\t".join(facts) + "\n").encode("utf-8", "surrogateescape"))
    finally:
        os.close(file)


def _at_exit(process: int) -> None:
    """Write the uncaught exception that ended the program to the launcher's folder; the launcher evaluates it."""
    error = getattr(sys, "last_value", None)
    if error is None or process != os.getpid() or hasattr(sys, "ps1") or isinstance(error, KeyboardInterrupt):
        return
    try:
        from autotrack.recording.lifecycle.job import leave_failure

        leave_failure(os.environ[FOLDER], error)
    except Exception:  # noqa: BLE001 - the program has ended; nothing of ours may be its last word
        return
