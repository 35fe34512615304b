"""Entry points of autotrack's own groups are found as `importlib.metadata` finds them, at less cost."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import entry_points

import pytest

from autotrack.instrument.plugins import plugins

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
POINTS = "[autotrack.examples]\n{name} = {module}:Example\n\n[console_scripts]\nx = y:z\n"


@pytest.mark.parametrize("group", ["autotrack.integrations", "autotrack.watches", "autotrack.flavors"])
def test_what_is_installed_is_found(group):
    """The same entry points as the standard library's."""
    assert {(point.name, point.value) for point in plugins(group)} == {
        (point.name, point.value) for point in entry_points(group=group)
    }


def test_folders_and_archives_are_looked_at_in_the_order_of_the_path(tmp_path, monkeypatch):
    """A distribution in a folder and one in a zip file are found; of two with one name, the first on the path is."""
    for folder, module in (("first", "one"), ("second", "two")):
        place = tmp_path / folder / "example-1.0.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(METADATA.format(name="example"))
        (place / "entry_points.txt").write_text(POINTS.format(name="folder", module=module))
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped-1.0.dist-info/METADATA", METADATA.format(name="zipped"))
        archive.writestr("zipped-1.0.dist-info/entry_points.txt", POINTS.format(name="zip", module="three"))
    before = [str(tmp_path / name) for name in ("first", "absent", "second", "archive.zip")]
    monkeypatch.setattr(sys, "path", [*before, *sys.path])
    found = {point.name: point.value for point in plugins("autotrack.examples")}
    assert found == {"folder": "one:Example", "zip": "three:Example"}
