"""The right of one host to fold into a store on a file system that several hosts share.

SQLite's own locks are only as good as those of that file system, so hosts take turns by a file that names the folding
host, and that this host renews while it folds. Processes of one host share its lease.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import time
from pathlib import Path

from autotrack.journal.host import boot_id

EXPIRES = 60.0  # seconds without renewal after which any host may take over the lease


class Lease:
    """A host's exclusive right to fold into a store, kept in a file beside the store."""

    def __init__(self, path: Path, holder: str | None = None) -> None:
        """Use the file `path`; `holder` identifies this host, by default by its name and boot."""
        self.path = path
        self.holder = holder or f"{platform.node()} {boot_id()}"

    def take(self) -> bool:
        """Acquire or renew the lease; False while another host holds it. `OSError` if the file cannot be written."""
        if self._create():
            return True
        if self.holder_now() == self.holder:
            os.utime(self.path)
            return True
        return self._is_stale() and self._take_over()

    def _create(self) -> bool:
        fresh = self._fresh()
        try:
            os.link(fresh, self.path)  # fails if the file exists, also on network file systems
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
        return True

    def _take_over(self) -> bool:
        """Replace a stale lease; if several hosts do, the last one holds it, so each reads the file again."""
        self._fresh().rename(self.path)
        time.sleep(0.05)
        return self.holder_now() == self.holder

    def _fresh(self) -> Path:
        fresh = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}")
        fresh.write_text(json.dumps({"holder": self.holder}))
        return fresh

    def holder_now(self) -> str | None:
        """The host that holds the lease; None if the file cannot be read."""
        try:
            return str(json.loads(self.path.read_text())["holder"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _is_stale(self) -> bool:
        """Whether the lease has expired, by the file server's clock, since the hosts' clocks may differ."""
        fresh = self._fresh()
        try:
            return fresh.stat().st_mtime - self.path.stat().st_mtime > EXPIRES
        except FileNotFoundError:
            return True
        finally:
            fresh.unlink()
