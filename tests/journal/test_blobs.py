"""Files that events name by their digest, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotrack.exceptions import NotFoundError
from autotrack.journal.blobs import BlobFolder, blob_path, bytes_digest, put_bytes


def test_a_file_is_read_by_its_digest(tmp_path: Path) -> None:
    """As bytes, as an open file, and from its path."""
    digest = put_bytes(tmp_path, b"weights")
    blobs = BlobFolder(tmp_path)
    assert blobs.read(digest) == b"weights"
    with blobs.open(digest) as file:
        assert file.read(3) == b"wei"
    assert blobs.path(digest) == blob_path(tmp_path, digest)


@pytest.mark.parametrize("digest", [bytes_digest(b"absent"), "", "..", "new", "AB" * 32])
def test_a_missing_file_is_named(digest: str, tmp_path: Path) -> None:
    """Each way to read it raises the same error, also for a digest that is none."""
    put_bytes(tmp_path, b"another file")
    blobs = BlobFolder(tmp_path)
    for read in (blobs.open, blobs.read, blobs.path):
        with pytest.raises(NotFoundError, match=repr(digest)):
            read(digest)
