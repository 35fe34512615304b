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
from autotrack.environment.imports import loading

def load():
    with loading() if sys.argv[1] == "guarded" else contextlib.nullcontext():
        import slow

threading.Thread(target=load, daemon=True).start()
while not Path("importing").exists():
    pass
child = os.fork()  # a guarded one comes back when the import is done
if child == 0:
    signal.alarm(5)
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
