"""A fork in the middle of one of our imports must not leave the child with a lock that nobody releases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PROGRAM = """
import contextlib, os, signal, sys, threading
from pathlib import Path
from autotrack.environment import imports
from autotrack.environment.imports import loading

imports._PATIENCE = 170.0

def load():
    with loading() if sys.argv[1] == "guarded" else contextlib.nullcontext():
        import slow

threading.Thread(target=load, daemon=True).start()
while not Path("importing").exists():
    pass
child = os.fork()  # a guarded one comes back when the import is done
if child == 0:
    signal.alarm(5 if sys.argv[1] == "unguarded" else 170)
    import slow
    os._exit(slow.answer)
Path("forked").touch()
code = os.waitpid(child, 0)[1]
print("hung" if os.WIFSIGNALED(code) else os.WEXITSTATUS(code))
with loading():
    pass
"""
SLOW = """
import sys, time
from pathlib import Path

Path("importing").touch()
if sys.argv[1] == "guarded":
    time.sleep(0.5)  # the fork waits for this import, if it comes meanwhile; if it comes later, all is well, too
while sys.argv[1] == "unguarded" and not Path("forked").exists():
    time.sleep(0.01)
answer = 42
"""


@pytest.mark.parametrize(("how", "outcome"), [("guarded", "42"), ("unguarded", "hung")])
def test_fork_waits_for_an_import(script: Any, tmp_path: Path, how: str, outcome: str) -> None:
    """The child of a fork in the middle of an import can import the same module, if the import was guarded."""
    (tmp_path / "slow.py").write_text(SLOW)
    assert script(PROGRAM, how).stdout.strip() == outcome


def test_fork_inside_an_import_of_the_same_thread(script: Any) -> None:
    """Forking while the same thread loads something is no deadlock, in neither process."""
    done = script(
        """
        import os
        from autotrack.environment.imports import loading
        with loading():
            child = os.fork()
            if child == 0:
                with loading():
                    os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with loading():
            print("free")
        """
    )
    assert done.stdout.strip() == "free"


def test_a_fork_waits_for_no_import_that_waits_for_the_fork(script: Any) -> None:
    """An import that asks for a logger during a fork goes on, though `logging` holds its lock while a process forks."""
    done = script(
        """
        import os, sys, threading
        assert "logging" not in sys.modules
        from autotrack.environment import imports
        imports._PATIENCE = 3600.0
        import logging

        held, forking = threading.Event(), threading.Event()

        def load():
            with imports.loading():
                held.set()
                forking.wait()
                for number in range(2000):
                    logging.getLogger(f"logger {number}")

        os.register_at_fork(before=forking.set)
        thread = threading.Thread(target=load)
        thread.start()
        held.wait()
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        thread.join()
        print("done")
        """
    )
    assert done.stdout.strip() == "done"


def test_forks_wait_in_vain_only_once(script: Any) -> None:
    """While one block goes on for long, the first fork waits for it, those after it do not; then all wait again."""
    done = script(
        """
        import os, threading
        from autotrack.environment import imports

        waits = []

        class Lock:
            def __init__(self, lock):
                self.lock, self.release = lock, lock.release

            def acquire(self, timeout):
                waits.append(timeout)
                return self.lock.acquire(timeout=min(timeout, 0.01))

        lock = imports._lock
        imports._lock = Lock(lock)
        entered, leave = threading.Event(), threading.Event()

        def load():
            with lock:
                entered.set()
                leave.wait()
            imports._in_vain = False

        thread = threading.Thread(target=load)
        thread.start()
        entered.wait()
        for _ in range(3):
            if os.fork() == 0:
                os._exit(0)
            os.wait()
        leave.set()
        thread.join()
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        print(waits)
        """
    )
    assert done.stdout.strip() == "[5.0, 0, 0, 5.0]"
