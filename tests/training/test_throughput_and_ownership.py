"""Throughput, our own share of the time, and whose loop a thread is in."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

import autotrack
from autotrack.training import ownership
from autotrack.training.neural import throughput


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    times = [100.0]
    monkeypatch.setattr(throughput, "_now", lambda: times[0])
    return times


def test_rates_are_those_since_the_last_look(clock):
    """Steps, samples and tokens per second; nothing if nothing was done."""
    meter = throughput.Throughput()
    for _ in range(10):
        meter.step(samples=32, tokens=1000)
    clock[0] += 2.0
    assert meter.rates() == {
        "train/steps_per_second": 5.0, "train/samples_per_second": 160.0, "train/tokens_per_second": 5000.0,
    }  # fmt: skip
    clock[0] += 1.0
    assert meter.rates() == {}
    meter.step()
    clock[0] += 3.0
    assert meter.rates() == {"train/steps_per_second": 0.25}


def test_a_validation_in_between_does_not_count(clock):
    """`restart` begins anew."""
    meter = throughput.Throughput()
    clock[0] += 50.0
    meter.restart()
    meter.step(steps=4)
    clock[0] += 2.0
    assert meter.rates() == {"train/steps_per_second": 2.0}


def test_epochs_are_timed(clock):
    """From the beginning of each, or from the end of the one before."""
    meter = throughput.Throughput()
    meter.begin_epoch()
    clock[0] += 7.0
    assert meter.end_epoch() == {"train/epoch_time": 7.0}
    clock[0] += 3.0
    assert meter.end_epoch() == {"train/epoch_time": 3.0}


def test_the_stopwatch_counts_the_outermost_block(clock):
    """Also when a block is left by an exception."""
    watch = throughput.Stopwatch()
    with watch, watch:
        clock[0] += 1.0
    clock[0] += 10.0
    with suppress(ZeroDivisionError), watch:
        clock[0] += 0.5
        raise ZeroDivisionError
    clock[0] += 10.0
    assert (watch.seconds, watch.calls) == (1.5, 2)


def test_the_report_says_how_a_training_was_captured(clock):
    """Hooks, what was seen, what was skipped, and the seconds; what is none is not mentioned."""
    watch = throughput.Stopwatch()
    with watch:
        clock[0] += 0.25
    with autotrack.start_run("x") as run:
        throughput.report_capture(
            run, "keras", hooks=["fit", "evaluate"], stopwatch=watch,
            seen={"epochs": 3, "batches": 1200, "checkpoints": 0}, skipped={"histograms": "no weights yet"},
        )  # fmt: skip
    (line,) = [line for line in autotrack.get_run("last").capture_report if line.what == "capture"]
    assert line.level == "info"
    assert line.message == (
        "keras: hooks fit, evaluate; seen 3 epochs, 1,200 batches; skipped histograms: no weights yet; "
        "0.250 s inside autotrack on the training thread in 1 calls"
    )


def test_a_charge_holds_for_its_thread_until_it_is_released():
    """The innermost counts; releasing out of order, twice or from another thread is fine."""
    assert ownership.training_in_charge() is None
    outer = ownership.take("transformers")
    with ownership.take("lightning"):
        assert ownership.training_in_charge() == "lightning"
        elsewhere = []
        other = threading.Thread(target=lambda: elsewhere.append(ownership.training_in_charge()))
        other.start()
        other.join()
        assert elsewhere == [None]
    assert ownership.training_in_charge() == "transformers"
    inner = ownership.take("keras")
    outer.release()
    assert ownership.training_in_charge() == "keras"
    releasing = threading.Thread(target=inner.release)
    releasing.start()
    releasing.join()
    inner.release()
    assert ownership.training_in_charge() is None
