"""The exact versions of the packages that a model needs to be loaded and used again."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable

from autotrack.models.flavors import flavors, formats

# Distributions of modules with another name, besides those that flavors declare.
_DISTRIBUTIONS = {"cv2": "opencv-python", "PIL": "pillow", "yaml": "pyyaml"}


def requirements(modules: Iterable[str], flavor: str, format_name: str) -> list[str]:
    """Lines such as "scikit-learn==1.9.1" for the packages that define `modules`, and for a flavor and a format.

    Only packages that are imported or installed are listed; the program's own modules are not packages.
    """
    names = {module.partition(".")[0] for module in modules}
    names.update(flavors()[flavor].needs, formats()[format_name].needs if format_name in formats() else ())
    lines = (_line(name) for name in names - set(sys.stdlib_module_names) - {"__main__", "builtins"})
    return sorted(line for line in lines if line)


@functools.cache
def _line(name: str) -> str:
    declared = {module: found for flavor in flavors().values() for module, found in flavor.distributions.items()}
    distribution = {**_DISTRIBUTIONS, **declared}.get(name, name)
    found = getattr(sys.modules.get(name), "__version__", None)  # much faster than reading installed metadata
    if not isinstance(found, str):
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version(distribution)
        except (PackageNotFoundError, ValueError):
            return ""
    return f"{distribution}=={found}"
