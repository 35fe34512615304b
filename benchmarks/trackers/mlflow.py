"""MLflow on its SQLite store in this folder, by its fluent API; synchronous as by default, and asynchronous."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.trackers.base import Log, Params, Tracker, param_of, point

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH = 1000  # the most metrics that MLflow takes in one request


class Mlflow(Tracker):
    name = "mlflow"
    distributions = ("mlflow",)
    imports = "import mlflow"
    script = "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('loss', 1.0, step=0)\n"
    environment = {
        "MLFLOW_TRACKING_URI": "sqlite:///{work}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TELEMETRY_OPTOUT": "true",
    }

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        import mlflow

        mlflow.start_run(run_name=name)
        if params:
            mlflow.log_params(dict(params))
        log: Log = mlflow.log_metrics
        return log

    def finish(self) -> None:
        import mlflow

        mlflow.end_run()

    def count(self, metric: str) -> int:
        client = self._client()
        return sum(len(client.get_metric_history(run.info.run_id, metric)) for run in self._runs(client))

    def log_many(self, rows: list[dict[str, float]]) -> int:
        import mlflow

        active = mlflow.active_run()
        assert active is not None
        self._log_rows(active.info.run_id, rows)
        return len(rows)

    def fill(self, runs: int, metrics: int, steps: int) -> None:
        client = self._client()
        for number in range(runs):
            run = client.create_run("0", run_name=f"run-{number}").info.run_id
            rows = [{f"m{metric}": point(number, metric, step) for metric in range(metrics)} for step in range(steps)]
            self._log_rows(run, rows)
            client.set_terminated(run)

    def history(self, metrics: list[str]) -> pd.DataFrame:
        import pandas as pd

        client = self._client()
        rows = [
            (run.info.run_id, point.key, point.step, point.timestamp, point.value)
            for run in self._runs(client)
            for metric in metrics
            for point in client.get_metric_history(run.info.run_id, metric)
        ]
        return pd.DataFrame(rows, columns=["run_id", "metric", "step", "time", "value"])

    def fill_searchable(self, runs: int) -> None:
        from mlflow.entities import Metric, Param

        client = self._client()
        for number in range(runs):
            run = client.create_run("0", run_name=f"run-{number}").info.run_id
            params = [Param(key, str(value)) for key, value in param_of(number).items()]
            client.log_batch(run, [Metric("loss", point(number, 0, 0), 1_700_000_000_000, 0)], params)
            client.set_terminated(run)

    def search(self, limit: int | None) -> int:
        import mlflow

        found = mlflow.search_runs(
            experiment_ids=["0"],
            filter_string="params.lr = '0.1'",
            order_by=["metrics.loss ASC"],
            max_results=100_000 if limit is None else limit,
            output_format="list",
        )
        return len(found)

    def autolog(self) -> None:
        import mlflow.sklearn

        mlflow.sklearn.autolog()

    def trained(self) -> int:
        return len(self._runs(self._client()))

    def lightning(self) -> dict[str, Any]:
        from lightning.pytorch.loggers import MLFlowLogger

        return {"logger": MLFlowLogger(tracking_uri="sqlite:///mlflow.db")}

    def transformers(self) -> dict[str, Any]:
        return {"report_to": "mlflow"}

    def candidates(self) -> int:
        return sum("mlflow.parentRunId" in run.data.tags for run in self._runs(self._client()))

    def _log_rows(self, run: str, rows: list[dict[str, float]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(key, value, now + step, step) for step, row in enumerate(rows) for key, value in row.items()]
        for start in range(0, len(points), BATCH):
            self._client().log_batch(run, metrics=points[start : start + BATCH])

    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient()

    def _runs(self, client: MlflowClient) -> list[Run]:
        return list(client.search_runs(["0"], max_results=50_000))


class MlflowAsync(Mlflow):
    name = "mlflow async"
    environment = Mlflow.environment | {"MLFLOW_ENABLE_ASYNC_LOGGING": "true"}

    def finish(self) -> None:
        import mlflow

        mlflow.flush_async_logging()
        mlflow.end_run()


class MlflowWithoutModel(Mlflow):
    name = "mlflow, no model"

    def autolog(self) -> None:
        import mlflow.sklearn

        mlflow.sklearn.autolog(log_models=False)
