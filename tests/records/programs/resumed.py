"""A run of two attempts, in two processes; and facts that a worker adds."""

import multiprocessing
import sys

import autotrack


def work(run):
    run.log({"worker/loss": 0.75}, step=7)


if __name__ == "__main__":
    with autotrack.start_run(
        "in two parts", experiment="ends", run_id="two-parts-0001", params={"part": sys.argv[1]}
    ) as run:
        run.log({"loss": float(sys.argv[1])})
        worker = multiprocessing.get_context("spawn").Process(target=work, args=(run,))
        worker.start()
        worker.join()
