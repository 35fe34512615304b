"""The exact versions of the packages that a model needs to be loaded and used again."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable

# Import names whose distribution is called otherwise, and what each flavor needs besides the classes of the model.
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skops": "skops",
}
_NEEDED = {
    "sklearn": ("sklearn", "numpy", "scipy", "joblib"), "skops": ("skops",), "cloudpickle": ("cloudpickle",),
    "safetensors": ("safetensors",), "torch": ("torch",), "lightning": ("torch",),
    "transformers": ("transformers", "torch", "safetensors"), "keras": ("keras",),
    "xgboost": ("xgboost",), "lightgbm": ("lightgbm",), "catboost": ("catboost",),
}  # fmt: skip


def requirements(modules: Iterable[str], *kinds: str) -> list[str]:
    """Lines such as "scikit-learn==1.9.1" for the packages that define `modules`, and for these flavors or formats.

    Only packages that are imported or installed are listed; the program's own modules are not packages.
    """
    names = {module.partition(".")[0] for module in modules}
    names.update(name for kind in kinds for name in _NEEDED.get(kind, ()))
    lines = (_line(name) for name in names - set(sys.stdlib_module_names) - {"__main__", "builtins"})
    return sorted(line for line in lines if line)


@functools.cache
def _line(name: str) -> str:
    distribution = _DISTRIBUTIONS.get(name, name)
    found = getattr(sys.modules.get(name), "__version__", None)  # far quicker than a look into the installed files
    if not isinstance(found, str):
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version(distribution)
        except (PackageNotFoundError, ValueError):
            return ""
    return f"{distribution}=={found}"
