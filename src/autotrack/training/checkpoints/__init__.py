"""Checkpoints: files that a framework writes during training, copied in the background and kept by a policy.

| module | holds |
|---|---|
| `recording` | `Checkpoints`, which integrations call on the training's thread |
| `policy` | which checkpoints are stored, and which of them are the best and the last |
| `files` | the files of a checkpoint, opened right after they were written |
| `copying` | copying and releasing, on the background thread |
| `blobs` | which checkpoints use which stored blob |
| `log` | the events and capture reports about checkpoints |
| `origins` | which run wrote a checkpoint that a later run continues from |
"""

from autotrack.training.checkpoints.origins import origin_of
from autotrack.training.checkpoints.recording import Checkpoints

__all__ = ["Checkpoints", "origin_of"]
