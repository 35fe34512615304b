"""Start-up module of Python in launched commands: starts autotrack, then imports the user's own `sitecustomize`.

Compatible with any Python that a command may start, also an old one, or one without autotrack.
"""

import os
import sys

if __name__ == "sitecustomize":
    _here = os.path.dirname(os.path.abspath(__file__))
    # remove this folder from the program's path; only PYTHONPATH, which child processes inherit, still contains it
    sys.path[:] = [_place for _place in sys.path if os.path.abspath(_place) != _here]
    try:
        from autotrack.launch import startup

        startup.begin()
    except Exception:  # noqa: BLE001 - whatever is wrong with us, the program starts
        try:
            with open(os.path.join(os.environ["AUTOTRACK_JOB_FOLDER"], "strangers"), "a") as _file:
                _file.write(sys.executable + "\n")
        except Exception:  # noqa: BLE001 - nor does it matter that nobody hears of it
            pass
    # import the one that Python would find without this folder; if there is none, Python gets the ImportError
    del sys.modules["sitecustomize"]
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
