"""The flavors of models: plug-ins under the entry point group `autotrack.flavors`, autotrack's own included.

A flavor is one `Flavor` object, which describes how a kind of model is saved and loaded. Loading it imports no
framework.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.plugins import plugins
from autotrack.models.files import Asked, Saved, Written

GROUP = "autotrack.flavors"
ANY = "python"  # the flavor of models that no other one recognises


@dataclass(frozen=True)
class Format:
    """A format of saved models: `read` loads one, `needs` are the modules it requires besides the flavor's.

    A reader whose format can run code calls `saved.refuse_untrusted(why)` before it touches the files.
    """

    read: Callable[[Saved], Any]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flavor:
    """One kind of model: how it is recognised, written and read, and which packages it takes.

    `recognises(model)` imports nothing. Of two flavors that recognise a model, the one that names the other in `before`
    is used. `write` may use a format of another flavor; `formats` are this one's own, by their names in saved
    models. `unwrapped(model)` is the model without wrappers of this flavor's framework; `parts(model)` are objects
    inside it whose packages it needs, too. `needs` are modules that are required to use the model; `distributions`
    maps modules to distributions of other names; `shown` are the distributions whose versions matter most.
    """

    write: Callable[[Asked], Written]
    recognises: Callable[[Any], bool]
    formats: Mapping[str, Format] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    unwrapped: Callable[[Any], Any] = lambda model: model
    parts: Callable[[Any], Iterable[Any]] = lambda model: ()
    needs: tuple[str, ...] = ()
    distributions: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[str, ...] = ()


def flavors() -> Mapping[str, Flavor]:
    """All flavors by name, autotrack's own first; one that cannot be loaded is left out, with a warning."""
    return _loaded(tuple(plugins(GROUP)))


def formats() -> Mapping[str, Format]:
    """All formats by name; one of autotrack's own cannot be replaced by a third party's."""
    found: dict[str, Format] = {}
    for flavor in flavors().values():
        for name, known in flavor.formats.items():
            found.setdefault(name, known)
    return found


def flavor_of(model: Any) -> str:
    """The name of the flavor that recognises the model without its wrappers, such as torch's; else "python"."""
    known = flavors()
    for flavor in known.values():
        model = flavor.unwrapped(model)
    fitting = [name for name, flavor in known.items() if flavor.recognises(model)]
    second = {other for name in fitting for other in known[name].before}
    return next((name for name in fitting if name not in second), ANY)


@functools.lru_cache(maxsize=8)
def _loaded(points: tuple[Any, ...]) -> Mapping[str, Flavor]:
    found: dict[str, Flavor] = {}
    for point in sorted(points, key=lambda point: not point.value.startswith("autotrack.")):
        with guarded(f"loading the model flavor {point.name}"):
            found.setdefault(point.name, point.load())
    return found
