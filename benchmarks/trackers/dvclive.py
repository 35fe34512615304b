"""DVCLive writing its TSV files, without a DVC repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.trackers.base import Log, NotOffered, Params, Tracker

if TYPE_CHECKING:
    import pandas as pd


class Dvclive(Tracker):
    name = "dvclive"
    distributions = ("dvclive",)
    imports = "import dvclive"
    script = "from dvclive import Live\nwith Live(save_dvc_exp=False) as live:\n    live.log_metric('loss', 1.0)\n"
    environment = {"DVC_NO_ANALYTICS": "1", "DVC_STUDIO_OFFLINE": "1"}

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        from dvclive import Live

        self._live = live = Live(f"dvclive/{name}", save_dvc_exp=False)
        if params:
            live.log_params(dict(params))

        def log(values: dict[str, float], step: int) -> None:
            live.step = step
            for key, value in values.items():
                live.log_metric(key, value)
            live.next_step()

        return log

    def finish(self) -> None:
        self._live.end()

    def count(self, metric: str) -> int:
        import pandas as pd

        return sum(len(pd.read_csv(path, sep="\t")) for path in Path("dvclive").rglob(f"metrics/{metric}.tsv"))

    def history(self, metrics: list[str]) -> pd.DataFrame:
        import pandas as pd

        frames = []
        for run in Path("dvclive").iterdir():
            for metric in metrics:
                rows = pd.read_csv(run / "plots" / "metrics" / f"{metric}.tsv", sep="\t")
                rows.columns = pd.Index(["step", "value"])
                frames.append(rows.assign(run_id=run.name, metric=metric))
        return pd.concat(frames, ignore_index=True)

    def fill_searchable(self, runs: int) -> None:
        raise NotOffered("runs are listed from git by `dvc exp show`, not searched")
