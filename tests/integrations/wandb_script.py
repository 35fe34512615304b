"""What programs do with W&B, one after the other, offline.

Run with a folder for W&B's data, and `with` or `without` autotrack.
"""

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import wandb
from PIL import Image

import autotrack
from autotrack.recording.collector import collector

folder = Path(sys.argv[1])
if sys.argv[2] == "with":
    autotrack.autolog()

settings = wandb.Settings(
    x_disable_stats=True, x_disable_meta=True, console="off", silent=True, x_service_wait=170, init_timeout=170
)
common = {"project": "demo", "mode": "offline", "dir": str(folder), "settings": settings}
(folder / "report.txt").write_text("all good")

run = wandb.init(
    **common, id="first", name="baseline", config={"lr": 0.1, "layers": [64, 64]}, tags=["a", "b"], notes="by hand",
    group="study",
)  # fmt: skip
run.config.epochs = 3
wandb.config["batch"] = 16
wandb.config.update({"lr": 0.2, "optimizer": {"name": "adam"}}, allow_val_change=True)
run.config.setdefaults({"epochs": 99, "seed": 7})
with suppress(wandb.sdk.lib.config_util.ConfigError):
    wandb.config.lr = 0.3
for step in range(3):
    wandb.log({"loss": 1.0 / (step + 1), "nested": {"a": step}})
wandb.log({"half": 0.5}, commit=False)
run.log({"loss": float("nan"), "float32": np.float32(2.0)}, step=10)
run.log({"picture": wandb.Image(Image.new("RGB", (2, 2))), "html": wandb.Html("<b>x</b>"), "word": "text"})
artifact = wandb.Artifact("files", type="report")
artifact.add_file(str(folder / "report.txt"))
run.log_artifact(artifact)
assert run.log({"last": 1}) is None
wandb.finish()

with suppress(ValueError), wandb.init(**common, id="second", name="broken") as run:
    run.log({"loss": 1.0})
    raise ValueError("no such luck")

run = wandb.init(**common, id="third", name="namespace", config=argparse.Namespace(width=3))
run.log({"code": 1})
run.finish(exit_code=1)

if sys.argv[2] == "with":
    with autotrack.start_run("mine"):
        run = wandb.init(**common, id="fourth", name="inside", config={"depth": 2})
        run.log({"loss": 0.5})
        run.finish()
    autotrack.autolog(disable=True)
else:
    run = wandb.init(**common, id="fourth", name="inside", config={"depth": 2})
    run.log({"loss": 0.5})
    run.finish()
run = wandb.init(**common, id="fifth", name="unheard")
run.log({"loss": 0.5})
run.finish()


config = wandb.sdk.wandb_config.Config
theirs = Path(wandb.__file__).parent
untouched = all(
    not hasattr(function, "__autotrack__") and Path(function.__code__.co_filename).is_relative_to(theirs)
    for function in (wandb.init, wandb.Run.log, wandb.Run.finish, config.__setattr__, config.update)
)
(folder / "untouched.json").write_text(json.dumps(untouched))
if sys.argv[2] == "with":
    collector().background.wait(170)  # else the process may say at its end what it waits for
