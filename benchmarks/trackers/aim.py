"""Aim on a repository in this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.trackers.base import Log, Params, Tracker

if TYPE_CHECKING:
    import pandas as pd
    from aim import Repo

QUIET = 0  # aim's QueryReportMode.DISABLED


class Aim(Tracker):
    name = "aim"
    distributions = ("aim",)
    imports = "import aim"
    script = "import aim\nrun = aim.Run()\nrun.track(1.0, name='loss', step=0)\nrun.close()\n"

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        import aim

        self._run = run = aim.Run(experiment="bench")
        run.name = name
        for key, value in (params or {}).items():
            run[key] = value

        def log(values: dict[str, float], step: int) -> None:
            for key, value in values.items():
                run.track(value, name=key, step=step)

        return log

    def finish(self) -> None:
        self._run.close()

    def settle(self) -> None:
        """Index the runs, which is what aim's server does in the background; its queries see no others."""
        from aim.sdk.index_manager import RepoIndexManager

        repo = self._repo()
        manager = RepoIndexManager.get_index_manager(repo)
        for run in repo.list_all_runs():
            manager.index(run)
        repo.container_pool.clear()

    def count(self, metric: str) -> int:
        return sum(len(found.values.sparse_list()[0]) for found in self._metrics([metric]))

    def history(self, metrics: list[str]) -> pd.DataFrame:
        import pandas as pd

        frames = [found.dataframe(include_name=True, include_run=True) for found in self._metrics(metrics)]
        return pd.concat(frames, ignore_index=True)

    def search(self, limit: int | None) -> int:
        """By its query language; the order is made here, in want of one in its API."""
        from aim.storage.context import Context

        found = [one.run for one in self._repo().query_runs("run.lr == 0.1", report_mode=QUIET).iter_runs()]
        found.sort(key=lambda run: run.get_metric("loss", Context({})).values.last_value())
        return len([(run.hash, run["seed"]) for run in found[:limit]])

    def _metrics(self, names: list[str]) -> list[Any]:
        query = f"metric.name in {names!r}"
        collections = self._repo().query_metrics(query, report_mode=QUIET).iter_runs()
        return [metric for collection in collections for metric in collection]

    def _repo(self) -> Repo:
        from aim import Repo

        return Repo.from_path(".")
