"""What the end of a process waits for, and what it says of that."""

from __future__ import annotations

import threading

import pytest

from autotrack.recording import messages
from autotrack.recording.collector import collector
from autotrack.recording.lifecycle.ending import wait_for_background


def test_only_a_wait_is_told(place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said where nothing is pending; where something is after a second, it is named, and waited for."""
    owner, told, go_on = collector(), [], threading.Event()

    def say(text: str) -> None:
        told.append(text)
        go_on.set()

    monkeypatch.setattr(messages, "say", say)
    wait_for_background(owner)
    assert told == []
    owner.background.submit("something slow", lambda: go_on.wait(170) and None)
    wait_for_background(owner)
    assert told == ["waiting for something slow (Ctrl-C leaves now)"]
    assert owner.background.wait(0) == []
