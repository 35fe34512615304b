"""The right of one host to fold into a store that lies on a file system of several.

SQLite's own locks are only as good as that file system's, so hosts take turns by a file that says who folds, renewed
while it does. Processes of one host share their host's lease.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import time
from pathlib import Path

from autotrack.journal.host import boot_id

EXPIRES = 60.0  # seconds after which a lease that was not renewed is anybody's


class Lease:
    """This host's claim on a store, kept in a file beside it."""

    def __init__(self, path: Path, holder: str | None = None) -> None:
        """Name the file; `holder` stands for this host, by default its name and boot."""
        self.path = path
        self.holder = holder or f"{platform.node()} {boot_id()}"

    def take(self) -> bool:
        """Get or renew the lease; False while another host has it. `OSError` if the file cannot be written."""
        if self._create():
            return True
        if self.holder_now() == self.holder:
            os.utime(self.path)
            return True
        return self._is_stale() and self._take_over()

    def _create(self) -> bool:
        fresh = self._fresh()
        try:
            os.link(fresh, self.path)  # fails if it exists, on every file system of several hosts
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
        return True

    def _take_over(self) -> bool:
        """Replace a stale lease; of several hosts that try, the last one has it, and each looks who that is."""
        self._fresh().rename(self.path)
        time.sleep(0.05)
        return self.holder_now() == self.holder

    def _fresh(self) -> Path:
        fresh = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}")
        fresh.write_text(json.dumps({"holder": self.holder}))
        return fresh

    def holder_now(self) -> str | None:
        """Who has it, as far as the file can be read."""
        try:
            return str(json.loads(self.path.read_text())["holder"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _is_stale(self) -> bool:
        """Compared by the file server's clock: hosts need not agree on the time."""
        fresh = self._fresh()
        try:
            return fresh.stat().st_mtime - self.path.stat().st_mtime > EXPIRES
        except FileNotFoundError:
            return True
        finally:
            fresh.unlink()
