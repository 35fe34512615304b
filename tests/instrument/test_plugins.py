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
    """Distributions in folders and in a zip file are found, an earlier one of the same name hides no other."""
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
    found = [(point.name, point.value) for point in plugins("autotrack.examples")]
    assert found == [("folder", "one:Example"), ("folder", "two:Example"), ("zip", "three:Example")]


def test_metadata_that_an_earlier_build_left_hides_nothing(tmp_path, monkeypatch):
    """What is installed is found in a checkout with an old `autotrack_ml.egg-info`, which knows fewer entry points."""
    before = {(point.name, point.value) for point in plugins("autotrack.flavors")}
    left = tmp_path / "autotrack_ml.egg-info"
    left.mkdir()
    (left / "PKG-INFO").write_text(METADATA.format(name="autotrack-ml"))
    (left / "entry_points.txt").write_text("[autotrack.sinks]\njsonl = autotrack.sinks.jsonl:JsonLinesSink\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert {(point.name, point.value) for point in plugins("autotrack.flavors")} == before != set()
