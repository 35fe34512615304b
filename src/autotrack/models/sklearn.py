"""The flavor of scikit-learn: estimators as skops files, which load without running code, or as pickles."""

from __future__ import annotations

from typing import Any

from autotrack.exceptions import InvalidValueError, MissingDependencyError, UntrustedModelError
from autotrack.models import python
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.flavors import Flavor, Format
from autotrack.models.python import class_name, instance_of
from autotrack.models.skops_file import HARMLESS, Unwritable, skops_bytes

FILE = "model.skops"


def write(asked: Asked) -> Written:
    """Write an estimator as a skops file, or as a pickle if skops cannot hold it safely and pickles are allowed."""
    try:
        data = skops_bytes(asked.model, limit=asked.limit)
    except Unwritable as error:
        return python.write(asked) if asked.allow_pickle else _by_skops(asked, error)
    return Written({FILE: data}, FILE, "skops", runs_code=False)


def _by_skops(asked: Asked, problem: Unwritable) -> Written:
    named = class_name(asked.model)
    try:
        import skops.io
    except ImportError as error:
        purpose = f"keeping a {named} (it has {problem}) without allow_pickle=True"
        raise MissingDependencyError("skops", "sklearn", purpose) from error
    try:
        data = skops.io.dumps(asked.model)
        types = skops.io.get_untrusted_types(data=data)
        skops.io.loads(data, trusted=types)  # fails for objects stored by name only, such as lambdas
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        raise InvalidValueError(
            f"a {named} cannot be kept in a format that loads without running code ({error}); "
            "allow_pickle=True keeps it as a pickle"
        ) from error
    untrusted = tuple(sorted(set(types) - set(HARMLESS)))
    return Written({FILE: data}, FILE, "skops", runs_code=bool(untrusted), untrusted=untrusted)


def read(saved: Saved) -> object:
    """Load an estimator; `UntrustedModelError` unless all types in it are harmless or it is trusted."""
    try:
        import skops.io
    except ImportError as error:
        raise MissingDependencyError("skops", "sklearn", "loading a model in the skops format") from error
    data = saved.data()
    types = set(skops.io.get_untrusted_types(data=data))
    if types - set(HARMLESS) and not saved.trust:
        raise UntrustedModelError(
            f"{saved.shown} holds {', '.join(sorted(types - set(HARMLESS)))}, whose code would run; "
            "if you know where it comes from, pass trust=True"
        )
    loaded: object = skops.io.loads(data, trusted=sorted(types))
    return loaded


def _inner_estimators(model: Any) -> list[Any]:
    return [part for part in model.get_params(deep=True).values() if hasattr(part, "get_params")]


FLAVOR = Flavor(
    write=write,
    recognises=instance_of(("sklearn.base", "BaseEstimator")),
    before=("keras", "lightning", "torch"),
    formats={"skops": Format(read, needs=("skops",))},
    parts=_inner_estimators,
    needs=("sklearn", "numpy", "scipy", "joblib"),
    distributions={"sklearn": "scikit-learn"},
    shown=("scikit-learn",),
)
