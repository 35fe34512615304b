"""The tests that every integration must pass, and a context in which tests record to a folder of their own."""

from __future__ import annotations

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotrack import _guard
from autotrack.events import AnyEvent, MetricRows, Params, RunFinished
from autotrack.journal.reader import journals
from autotrack.place import Place
from autotrack.recording import collector as collector_module


class IntegrationTestCase(ABC):
    """The tests of an integration. Subclass it, name the class `Test…`, and implement the three methods."""

    @abstractmethod
    def install(self) -> None:
        """Switch the integration on."""

    @abstractmethod
    def uninstall(self) -> None:
        """Switch the integration off."""

    @abstractmethod
    def train(self, *, fail: bool = False) -> Any:
        """Train something small with fixed seeds; with `fail`, raise a `ZeroDivisionError` during the training.

        Returns the result as something that pickles, such as the weights.
        """

    def test_a_training_is_a_run(self, tmp_path: Path) -> None:
        """A training makes one run, with params, that finishes."""
        with self._installed(tmp_path) as place:
            self.train()
        events = recorded_events(place)
        assert [event.status for event in events if isinstance(event, RunFinished)] == ["finished"]
        assert any(isinstance(event, Params) for event in events)

    def test_the_result_is_the_same_with_and_without(self, tmp_path: Path) -> None:
        """Training gives the same bits with the integration installed as without it."""
        without = pickle.dumps(self.train())
        with self._installed(tmp_path):
            with_it = pickle.dumps(self.train())
        assert with_it == without == pickle.dumps(self.train())

    def test_a_failure_is_the_users(self, tmp_path: Path) -> None:
        """An exception of the training reaches the caller, and the run ends as failed."""
        with self._installed(tmp_path) as place:
            try:
                self.train(fail=True)
            except ZeroDivisionError:
                pass
            else:
                raise AssertionError("the training's own exception did not pass")
        statuses = [event.status for event in recorded_events(place) if isinstance(event, RunFinished)]
        assert statuses == ["failed"]

    def test_uninstalled_it_records_nothing(self, tmp_path: Path) -> None:
        """After `uninstall` a training records nothing."""
        with self._installed(tmp_path):
            pass
        with recording_to(tmp_path / "after") as place:
            self.train()
        assert recorded_events(place) == []

    def test_inside_an_open_run_it_is_a_part_of_it(self, tmp_path: Path) -> None:
        """The training joins the run that the user opened."""
        from autotrack.recording.lifecycle.start import start_run

        with self._installed(tmp_path) as place, start_run("mine") as run:
            self.train()
        assert {event.run for event in recorded_events(place)} == {run.id}

    @contextmanager
    def _installed(self, folder: Path) -> Iterator[Place]:
        with recording_to(folder / "on") as place:
            self.install()
            try:
                yield place
            finally:
                self.uninstall()


@contextmanager
def recording_to(folder: Path) -> Iterator[Place]:
    """Record to `folder` inside the block; failures that autotrack swallowed there are raised at its end."""
    failures: list[tuple[str, BaseException]] = []
    remove = _guard.add_failure_hook(lambda what, error: failures.append((what, error)))
    previous = os.environ.get("AUTOTRACK_DIR")
    os.environ["AUTOTRACK_DIR"] = str(folder)
    try:
        with collector_module.new_collector() as owner:
            yield owner.place
            owner.background.wait(30)
    finally:
        if previous is None:
            del os.environ["AUTOTRACK_DIR"]
        else:
            os.environ["AUTOTRACK_DIR"] = previous
        remove()
    if failures:
        what, error = failures[0]
        raise AssertionError(f"autotrack swallowed a failure: {what}") from error


def recorded_events(place: Place) -> list[AnyEvent | MetricRows]:
    """All events in the journals of a place."""
    events: list[AnyEvent | MetricRows] = []
    for journal in journals(place.journals):
        position = 0
        while batch := journal.read(position):
            events += batch.events
            position = batch.end
    return events
