"""TensorBoard event files, written by tensorboardX and by torch, read by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.trackers.base import Log, NotOffered, Params, Tracker

if TYPE_CHECKING:
    import pandas as pd


class TensorboardX(Tracker):
    name = "tensorboardX"
    distributions = ("tensorboardX", "tensorboard")
    imports = "from tensorboardX import SummaryWriter"
    script = f"{imports}\nwriter = SummaryWriter()\nwriter.add_scalar('loss', 1.0, 0)\nwriter.close()\n"

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        writer = self._writer = self._open(f"runs/{name}")
        add = writer.add_scalar

        def log(values: dict[str, float], step: int) -> None:
            for key, value in values.items():
                add(key, value, step)

        return log

    def finish(self) -> None:
        self._writer.close()

    def count(self, metric: str) -> int:
        return sum(len(run.Scalars(metric)) for _, run in self._runs() if metric in run.Tags()["scalars"])

    def history(self, metrics: list[str]) -> pd.DataFrame:
        import pandas as pd

        rows = [
            (name, metric, event.step, event.wall_time, event.value)
            for name, run in self._runs()
            for metric in metrics
            for event in run.Scalars(metric)
        ]
        return pd.DataFrame(rows, columns=["run_id", "metric", "step", "time", "value"])

    def fill_searchable(self, runs: int) -> None:
        raise NotOffered("no search over runs")

    def _open(self, folder: str) -> Any:
        from tensorboardX import SummaryWriter

        return SummaryWriter(folder)

    def _runs(self) -> list[tuple[str, Any]]:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = []
        for folder in Path("runs").iterdir():
            run = EventAccumulator(str(folder), size_guidance={"scalars": 0})
            found.append((folder.name, run.Reload()))
        return found


class TorchSummaryWriter(TensorboardX):
    name = "torch SummaryWriter"
    distributions = ("torch", "tensorboard")
    imports = "from torch.utils.tensorboard import SummaryWriter"
    script = f"{imports}\nwriter = SummaryWriter()\nwriter.add_scalar('loss', 1.0, 0)\nwriter.close()\n"

    def _open(self, folder: str) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(folder)

    def lightning(self) -> dict[str, Any]:
        from lightning.pytorch.loggers import TensorBoardLogger

        return {"logger": TensorBoardLogger("lightning_logs")}

    def transformers(self) -> dict[str, Any]:
        return {"report_to": "tensorboard"}
