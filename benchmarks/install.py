"""Install the peers into the environment of the Python that runs this, and note which could not be had, and why.

`python benchmarks/install.py`. The notes go into the environment's folder, where the benchmark finds them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FAILED_INSTALLS = Path(sys.prefix) / "benchmark-installs.json"


def main() -> None:
    """Install line by line; whatever fails, the others go on."""
    failed: dict[str, str] = {}
    for line in REQUIREMENTS.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement = line.strip()
        print(f"installing {requirement}", flush=True)
        done = _pip(requirement)
        if done.returncode:
            failed[re.split(r"[=<>~!]", requirement)[0]] = _reason(done.stderr)
            print(f"  failed: {_reason(done.stderr)}", flush=True)
    FAILED_INSTALLS.write_text(json.dumps(failed, indent=1) + "\n")


def _pip(requirement: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _reason(output: str) -> str:
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    return (errors or output.strip().splitlines() or ["pip failed"])[-1].removeprefix("ERROR: ")[:200]


if __name__ == "__main__":
    main()
