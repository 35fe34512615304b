"""Every test runs in a place of its own, and fails if autotrack swallowed a failure that the test did not expect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from autotrack import _guard, _process

# The same examples at each run where a change is judged; new ones, or many (HYPOTHESIS_PROFILE=deep), where one looks.
# None of them minds how long an example takes: machines that run tests are busy.
_UNHURRIED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("look", **_UNHURRIED)
settings.register_profile("deep", max_examples=3000, **_UNHURRIED)
settings.register_profile("judge", derandomize=True, **_UNHURRIED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "judge" if "CI" in os.environ else "look"))

pytest_plugins = ["postgres_server", "seeded_store"]  # in tests/fixtures

_AS_IN_A_TERMINAL = {"SIGINT": signal.default_int_handler, "SIGQUIT": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}

Script = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure(config: pytest.Config) -> None:
    for name, handler in _AS_IN_A_TERMINAL.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:  # as in the background of a shell
            signal.signal(number, handler)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would compile the package, each anew
    sys.dont_write_bytecode = False
    config.addinivalue_line("markers", "swallows: the test makes autotrack swallow failures on purpose")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's own `.autotrack` folder, current folder and home; a fresh collector before and after."""
    for name in [name for name in os.environ if name.startswith("AUTOTRACK")]:
        monkeypatch.delenv(name)
    folder = tmp_path / ".autotrack"
    monkeypatch.setenv("AUTOTRACK_DIR", str(folder))
    monkeypatch.setenv("AUTOTRACK_QUIET", "1")
    for limit in ("ENVIRONMENT", "EXIT"):  # machines that run tests are busy
        monkeypatch.setenv(f"AUTOTRACK_{limit}_TIMEOUT", "170")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    monkeypatch.chdir(tmp_path)
    _process.reset()
    yield folder
    _process.reset()


@pytest.fixture(autouse=True)
def guard_failures(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, BaseException]]]:
    """The failures that autotrack swallowed; raised at the end unless the test is marked `swallows`."""
    failures: list[tuple[str, BaseException]] = []
    remove = _guard.add_failure_hook(lambda what, error: failures.append((what, error)))
    yield failures
    remove()
    if failures and not request.node.get_closest_marker("swallows"):
        what, error = failures[0]
        raise AssertionError(f"autotrack swallowed a failure: {what}") from error


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Run Python source as a script of its own, in the test's folder; returns the finished process."""

    def run(
        source: str, *args: str, check: bool = True, timeout: float = 240, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(source))
        done = subprocess.run(
            [sys.executable, str(path), *args],
            capture_output=True, text=True, timeout=timeout, cwd=tmp_path, env={**os.environ, **environment},
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def recorded(place: Path) -> Callable[[], list[Any]]:
    """All events that lie in the journals of the test's place, journal by journal."""
    from autotrack.journal.reader import journals

    def read() -> list[Any]:
        events: list[Any] = []
        for journal in journals(place / "journals"):
            position = 0
            while batch := journal.read(position):
                assert not batch.damaged
                events += batch.events
                position = batch.end
        return events

    return read
