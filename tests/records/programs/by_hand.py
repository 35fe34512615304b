"""Every verb of a run, called by hand."""

import numpy as np
from PIL import Image

import autotrack

with autotrack.start_run(
    "everything",
    experiment="by hand",
    params={"lr": 0.1, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}},
    tags={"team": "x"},
) as run:
    for step in range(40):
        run.log({"train/loss": 1 / (step + 1), "seen": step * 32}, step=step)
        if step % 10 == 9:
            run.log({"val/accuracy": 0.5 + step / 100}, step=step)
    run.log({"odd": float("nan")}, step=0)
    run.log({"odd": float("inf")}, step=1)
    run.log({"odd": 2.5}, step=1)
    run.log({"nested": {"a": 1, "b": np.float32(0.5)}}, time=1_750_000_000.25)
    run.log_params({"lr": 0.2, "api_key": "sk-abcdefghijklmnopqrstuvwx", "none": None, "big": 2**70})
    run.log_params({"momentum": 0.0}, origin="default")
    run.log_params({"config.long": "x" * 20_000}, origin="config")
    run.set_tags({"phase": "tuning", "team": None, "size": 3})
    run.note("A first look at *everything*.")
    run.rename("everything, once")
    run.log_text("all is well", "notes/first.txt")
    run.log_text("all is better", "notes/first.txt")
    run.log_dict({"a": [1, 2, None]}, "plain.json")
    run.log_table("errors", {"truth": [1, 2], "guess": [1.5, 2.5]}, step=3)
    run.log_figure("picture", Image.new("RGB", (4, 4), (200, 10, 10)), step=2)
    run.log_dataset(
        np.arange(12.0).reshape(6, 2), name="numbers", role="train", version="3", source="https://ada:pw@data.example/x"
    )
    run.log_evaluation("confusion", {"truth": ["a", "b"], "a": [3, 1], "b": [0, 5]}, {"role": "test"})
    run.report("weather", "nobody looked out of the window", count=2)
    with autotrack.start_run("a child", tags={"depth": 2}) as child:
        child.log_metric("loss", 0.25)
        child.log_metric("loss", 0.125)
autotrack.log({"afterthought": 1.0})
