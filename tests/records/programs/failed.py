"""A run that fails with an exception."""

import autotrack

with autotrack.start_run("failing", experiment="ends") as run:
    run.log({"loss": 1.0})
    raise ZeroDivisionError("one too many")
