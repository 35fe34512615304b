"""What Python runs as it starts in a launched command: our start-up, then the user's own `sitecustomize`.

Written for any Python that a command may start, also an old one, or one for which autotrack is not installed.
"""

import os
import sys

if __name__ == "sitecustomize":
    _here = os.path.dirname(os.path.abspath(__file__))
    # out of the program's way: only the environment, which its children inherit, still names this folder
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
    # makes way for the one that would have been found without us; if there is none, that is what Python is told
    del sys.modules["sitecustomize"]
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
