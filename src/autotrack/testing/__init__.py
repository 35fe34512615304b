"""For people who extend autotrack: a sink in memory, and the tests that every sink and integration must pass.

    class TestMySink(SinkTestCase):
        def make_sink(self, folder):
            return MySink(f"mine://{folder}")
        def events_in(self, sink):
            return [...]          # what arrived, as `Arrived` tuples

Run with pytest. Nothing here needs a network; the journals are real ones.
"""

from autotrack.testing.arrivals import Arrived, arrivals
from autotrack.testing.integrations import IntegrationTestCase, recorded_events, recording_to
from autotrack.testing.sinks import MemorySink, SinkTestCase

__all__ = [
    "Arrived",
    "IntegrationTestCase",
    "MemorySink",
    "SinkTestCase",
    "arrivals",
    "recorded_events",
    "recording_to",
]
