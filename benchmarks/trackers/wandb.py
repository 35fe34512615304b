"""Weights & Biases offline. Its files are read by a service that needs the network; here they are decoded directly."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.trackers.base import Log, NotOffered, Params, Tracker

FILE_HEADER = 7
BLOCK = 32768
RECORD_HEADER = struct.Struct("<IHB")
FIRST, MIDDLE, LAST, FULL = 2, 3, 4, 1


class Wandb(Tracker):
    name = "wandb offline"
    distributions = ("wandb",)
    imports = "import wandb"
    script = "import wandb\nrun = wandb.init(project='bench')\nrun.log({'loss': 1.0}, step=0)\nrun.finish()\n"
    environment = {
        "WANDB_MODE": "offline",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_API_KEY": "0" * 40,
    }

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        import wandb

        self._run = wandb.init(project="bench", name=name, config=dict(params or {}))
        log: Log = self._run.log
        return log

    def finish(self) -> None:
        self._run.finish()

    def lightning(self) -> dict[str, Any]:
        from lightning.pytorch.loggers import WandbLogger

        return {"logger": WandbLogger(offline=True)}

    def transformers(self) -> dict[str, Any]:
        return {"report_to": "wandb"}

    def count(self, metric: str) -> int:
        return sum(1 for path in Path("wandb").rglob("run-*.wandb") for row in history_rows(path) if metric in row)

    def fill_searchable(self, runs: int) -> None:
        raise NotOffered("offline runs cannot be queried")

    def fill(self, runs: int, metrics: int, steps: int) -> None:
        raise NotOffered("offline runs cannot be queried")


def history_rows(path: Path) -> Iterator[dict[str, object]]:
    """The logged rows of an offline run; what is cut off at the end is left out, as wandb's own sync does."""
    from wandb.proto import wandb_internal_pb2

    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            yield {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a LevelDB log: 32 KiB blocks of fragments, each with checksum, length and kind."""
    position, parts = FILE_HEADER, b""
    while position + RECORD_HEADER.size <= len(data):
        room = BLOCK - position % BLOCK
        if room < RECORD_HEADER.size:
            position += room
            continue
        _, length, kind = RECORD_HEADER.unpack_from(data, position)
        position += RECORD_HEADER.size
        if kind not in (FIRST, MIDDLE, LAST, FULL) or position + length > len(data):
            return
        parts = (
            data[position : position + length] if kind in (FIRST, FULL) else parts + data[position : position + length]
        )
        position += length
        if kind in (LAST, FULL):
            yield parts
