"""autotrack with its defaults: the journal while training, the store folded by whoever reads first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.trackers.base import Log, Params, Tracker, param_of, point

if TYPE_CHECKING:
    import pandas as pd


class Autotrack(Tracker):
    name = "autotrack"
    distributions = ("autotrack-ml",)
    imports = "import autotrack"
    script = "import autotrack\nwith autotrack.start_run() as run:\n    run.log({'loss': 1.0}, step=0)\n"

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        import autotrack

        self._run = autotrack.start_run(name, experiment="bench", params=dict(params or {}))
        log: Log = self._run.log
        return log

    def finish(self) -> None:
        self._run.finish()

    def prepare_reading(self) -> None:
        from autotrack.settings import Settings, find_place
        from autotrack.store.engine import open_store
        from autotrack.store.folding import fold  # noqa: F401

        open_store(find_place(Settings())).close()

    def settle(self) -> None:
        """Fold, as any reader does first."""
        import autotrack

        len(autotrack.runs(limit=1))

    def count(self, metric: str) -> int:
        import autotrack

        return len(autotrack.runs(all=True).history([metric]))

    def history(self, metrics: list[str]) -> pd.DataFrame:
        import autotrack

        return autotrack.runs().history(metrics)

    def fill_searchable(self, runs: int) -> None:
        """Straight into a journal, without a capture of the environment per run, and then into the store."""
        import json
        import time

        from autotrack.events import Frame, Params, RunFinished, RunStarted
        from autotrack.journal import JournalWriter
        from autotrack.place import prepare
        from autotrack.settings import Settings, find_place

        place = find_place(Settings())
        prepare(place)
        journal = JournalWriter(place.journals)
        for number in range(runs):
            run, now = f"{number:032x}", time.time()
            journal.append(RunStarted(run=run, time=now, name=f"run-{number}", experiment="bench"))
            values = {key: json.dumps(value) for key, value in param_of(number).items()}
            journal.append(Params(run=run, time=now, values=values))
            packer = journal.packer(Frame(run=run, keys=("loss",), types="d"))
            journal.append_row(packer, 0, now, (point(number, 0, 0),))
            journal.append(RunFinished(run=run, time=now, status="finished"))
        journal.close()

    def search(self, limit: int | None) -> int:
        import autotrack

        found = autotrack.runs("params.lr = 0.1", order_by="metrics.loss", experiment="bench", limit=limit)
        if limit is None:
            return len(found)
        return len([(record.id, record.name, record.params, record.metrics) for record in found])

    def autolog(self) -> None:
        import autotrack

        autotrack.autolog()

    def trained(self) -> int:
        import autotrack

        return len(autotrack.runs())

    def candidates(self) -> int:
        import autotrack

        return len(autotrack.runs("run.kind = 'trial'"))

    def lightning(self) -> dict[str, Any]:
        from autotrack.integrations.lightning import AutotrackCallback

        return {"callbacks": [AutotrackCallback()]}

    def transformers(self) -> dict[str, Any]:
        from autotrack.integrations.transformers import AutotrackCallback

        return {"callbacks": [AutotrackCallback()]}

    def keras(self) -> dict[str, Any]:
        from autotrack.integrations.keras import AutotrackCallback

        return {"callbacks": [AutotrackCallback(log_every="batch")]}
