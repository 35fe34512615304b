"""The program of one measuring process: `python -m benchmarks.child module:function tracker answer arguments`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from benchmarks.trackers.base import NotOffered
from benchmarks.trackers.registry import tracker


def main() -> None:
    """Call the step and leave its answer, or why there is none, in a file."""
    step, name, answer, arguments = sys.argv[1:]
    module, function = step.split(":")
    try:
        result = getattr(importlib.import_module(f"benchmarks.measures.{module}"), function)(
            tracker(name), **json.loads(arguments)
        )
    except NotOffered as reason:
        result = {"not_offered": str(reason)}
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
