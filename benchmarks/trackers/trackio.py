"""Trackio on this machine alone: its SQLite file per project, read by its own storage class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.trackers.base import Log, Params, Tracker, param_of, point

if TYPE_CHECKING:
    import pandas as pd

PROJECT = "bench"


class Trackio(Tracker):
    name = "trackio"
    distributions = ("trackio",)
    imports = "import trackio"
    script = "import trackio\ntrackio.init(project='bench')\ntrackio.log({'loss': 1.0}, step=0)\ntrackio.finish()\n"
    environment = {
        "TRACKIO_DIR": "{work}/trackio",
        "TRACKIO_DISABLE_LOGS_CACHE": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
    }

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        import trackio

        self._run = trackio.init(project=PROJECT, name=name, config=dict(params or {}), embed=False)
        log: Log = self._run.log
        return log

    def finish(self) -> None:
        import trackio

        trackio.finish()

    def count(self, metric: str) -> int:
        from trackio.sqlite_storage import SQLiteStorage

        runs = SQLiteStorage.get_run_records(PROJECT)
        return sum(len(SQLiteStorage.get_metric_values(PROJECT, run["name"], metric, run_id=run["id"])) for run in runs)

    def fill(self, runs: int, metrics: int, steps: int) -> None:
        from trackio.sqlite_storage import SQLiteStorage

        for number in range(runs):
            rows = [{f"m{metric}": point(number, metric, step) for metric in range(metrics)} for step in range(steps)]
            SQLiteStorage.bulk_log(
                PROJECT, f"run-{number}", rows, steps=list(range(steps)), config={}, run_id=f"id-{number}"
            )

    def history(self, metrics: list[str]) -> pd.DataFrame:
        import pandas as pd
        from trackio.sqlite_storage import SQLiteStorage

        frames = []
        for run in SQLiteStorage.get_run_records(PROJECT):
            rows = pd.DataFrame(SQLiteStorage.get_logs(PROJECT, run["name"], run_id=run["id"]))
            rows["run_id"] = run["id"]
            frames.append(rows.melt(["run_id", "step", "timestamp"], metrics, "metric", "value"))
        return pd.concat(frames, ignore_index=True)

    def fill_searchable(self, runs: int) -> None:
        from trackio.sqlite_storage import SQLiteStorage

        for number in range(runs):
            SQLiteStorage.bulk_log(
                PROJECT,
                f"run-{number}",
                [{"loss": point(number, 0, 0)}],
                steps=[0],
                config=param_of(number),
                run_id=f"id-{number}",
            )

    def search(self, limit: int | None) -> int:
        """By SQL on its file, in want of a search in its API."""
        import sqlite3

        from trackio.sqlite_storage import SQLiteStorage

        found = sqlite3.connect(SQLiteStorage.get_project_db_path(PROJECT)).execute(
            "SELECT c.run_id, c.config, m.metrics, json_extract(m.metrics, '$.loss') AS loss"
            " FROM configs c JOIN metrics m ON m.run_id = c.run_id AND m.step ="
            " (SELECT max(step) FROM metrics WHERE run_id = c.run_id)"
            " WHERE json_extract(c.config, '$.lr') = 0.1 ORDER BY loss LIMIT ?",
            (-1 if limit is None else limit,),
        )
        return len(found.fetchall())
