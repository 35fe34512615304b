"""A run whose process is killed."""

import os
import signal

import autotrack

run = autotrack.start_run("cut off", experiment="ends", params={"lr": 3})
for step in range(5):
    run.log({"loss": 1.0 / (step + 1)}, step=step)
os.kill(os.getpid(), signal.SIGKILL)
