"""Opens the sink that a URL names, whose scheme is the name of an entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from urllib.parse import urlsplit, urlunsplit

from autotrack.exceptions import AutotrackError, ConfigurationError
from autotrack.sinks.base import Sink

GROUP = "autotrack.sinks"


def sink_name(url: str) -> str:
    """The URL without user, password, query and fragment, by which journals and messages name the sink."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.port is not None:
        host = f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def open_sink(url: str) -> Sink:
    """The sink that `url` names; `ConfigurationError` for an unknown scheme or a URL that it refuses.

    The class is found in the entry point group `autotrack.sinks` by the URL's scheme, or by the part of it before a
    `+`. It is called with the URL.
    """
    scheme = urlsplit(url).scheme
    known = {point.name: point for point in entry_points(group=GROUP)}
    point = known.get(scheme) or known.get(scheme.partition("+")[0])
    if point is None:
        raise ConfigurationError(
            f"sink {sink_name(url)!r}: no sink is registered for {scheme or 'a bare path'!r}; "
            f"there are: {', '.join(sorted(known)) or 'none'}"
        )
    try:
        sink = point.load()(url)
    except AutotrackError:
        raise
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"sink {sink_name(url)!r} cannot be opened: {error}") from error
    if not isinstance(sink, Sink):
        raise ConfigurationError(f"sink {sink_name(url)!r}: {point.value} is not an autotrack Sink")
    return sink
