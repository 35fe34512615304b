"""The two packages that contain PyTorch Lightning, and look-ups of classes in those that the program has."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

from autotrack.exceptions import MissingDependencyError

PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def base_classes(module: str, name: str, *, wanted_by: str) -> tuple[type, ...]:
    """The class `name` of `module` from each package that is imported; of the first installed one, if none is.

    `MissingDependencyError`, naming `wanted_by`, if neither is installed.
    """
    present = [package for package in PACKAGES if f"{package}.{module}" in sys.modules]
    if not present:
        present = [package for package in PACKAGES if find_spec(package.partition(".")[0]) is not None][:1]
    if not present:
        raise MissingDependencyError("lightning", "lightning", wanted_by)
    return tuple(getattr(import_module(f"{package}.{module}"), name) for package in present)
