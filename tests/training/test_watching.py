"""Norms and histograms say what an independent computation says, for every kind of tensor, and leave no trace."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.recording.collector import collector
from autotrack.training.neural import watching
from autotrack.training.neural.watching import Watcher, steps_between

torch: Any = pytest.importorskip("torch")
nn: Any = torch.nn


def looked_at(module: Any, **options: Any) -> Any:
    """The record of one look at a module."""
    with autotrack.start_run("watched") as run:
        Watcher(run, module, every=1, **options).look(0)
        assert collector().background.wait(170) == []
    return autotrack.get_run("last")


def histograms(record: Any, key: str) -> dict[str, Any]:
    (media,) = [one for one in record.media if one.key == key]
    assert (media.kind, media.step, media.media_type) == ("histogram", 0, "application/json")
    return json.loads(media.read())


def test_a_histogram_counts_what_numpy_counts():
    """Of the finite values; the others are counted apart."""
    layer = nn.Linear(50, 20)
    layer.weight.grad = torch.randn(20, 50)
    layer.weight.grad[0, :3] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    found = histograms(looked_at(layer), "gradients")
    assert set(found) == {"weight"}
    values = layer.weight.grad.reshape(-1)[3:].numpy()
    counts, edges = np.histogram(values, bins=watching.BINS)
    assert (found["weight"]["min"], found["weight"]["max"]) == pytest.approx((edges[0], edges[-1]))
    assert (found["weight"]["nonfinite"], found["weight"]["sampled"]) == (3, 1000)
    assert sum(found["weight"]["counts"]) == 997
    assert np.abs(np.array(found["weight"]["counts"]) - counts).max() <= 1  # a value on an edge may fall to either side


def test_a_large_tensor_is_sampled_evenly():
    """The number of values says so; the norm is that of all of them."""
    layer = nn.Linear(1000, 100, bias=False)
    record = looked_at(layer)
    assert 10_000 < histograms(record, "weights")["weight"]["sampled"] <= watching.SAMPLE
    expected = np.linalg.norm(layer.weight.detach().numpy().astype(float))
    assert record.metrics["weights/norm/weight"].last == pytest.approx(expected, rel=1e-5)


def test_weights_that_are_all_the_same_fall_into_one_bin():
    """No division by the width of nothing."""
    layer = nn.BatchNorm1d(7)
    found = histograms(looked_at(layer), "weights")["weight"]
    assert (found["min"], found["max"], found["counts"][0], sum(found["counts"])) == (1.0, 1.0, 7, 7)


def test_only_nothing_but_infinities_is_told_as_such():
    """Without a finite value there are no edges."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.fill_(float("nan"))
    found = histograms(looked_at(layer), "weights")["weight"]
    assert (found["nonfinite"], sum(found["counts"])) == (4, 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "complex64"])
def test_norms_of_every_precision_are_those_of_the_numbers(dtype):
    """Also where the sum of squares would not fit into the type."""
    layer = nn.Module()
    layer.weight = nn.Parameter(torch.full((30, 30), 200.0, dtype=getattr(torch, dtype)))
    layer.bias = nn.Parameter(torch.zeros(3))
    record = looked_at(layer)
    assert record.metrics["weights/norm/weight"].last == pytest.approx(6000.0, rel=1e-3)
    assert record.metrics["weights/norm"].last == pytest.approx(6000.0, rel=1e-3)


def test_sparse_gradients_are_norms_of_their_sum():
    """Rows that came twice are added first, as the optimizer does; the gradient itself stays as it is."""
    embedding = nn.Embedding(10, 3, sparse=True)
    embedding(torch.tensor([1, 1, 4])).sum().backward()
    before = embedding.weight.grad._nnz()
    record = looked_at(embedding)
    assert record.metrics["gradients/norm"].last == pytest.approx((3 * 4.0 + 3 * 1.0) ** 0.5)
    assert embedding.weight.grad._nnz() == before


def test_what_has_no_gradients_or_no_values_is_left_out():
    """Before the first backward pass, frozen, lazy, without parameters."""
    frozen = nn.Linear(2, 2)
    frozen.requires_grad_(False)
    module = nn.ModuleList([nn.Linear(2, 2), frozen, nn.LazyLinear(3), nn.Linear(2, 2, device="meta"), nn.ReLU()])
    metrics = looked_at(module).metrics
    assert "gradients/norm" not in metrics
    assert {name for name in metrics if name.startswith("weights/norm/")} == {
        "weights/norm/0.weight", "weights/norm/0.bias",
    }  # fmt: skip
    assert not [name for name in looked_at(nn.ReLU()).metrics if name.startswith("weights")]


def test_many_layers_are_bounded_to_the_largest(monkeypatch):
    """The norm of all together covers all; the report says how many have one of their own."""
    monkeypatch.setattr(watching, "MOST_NORMS", 2)
    monkeypatch.setattr(watching, "MOST_HISTOGRAMS", 1)
    module = nn.Sequential(*[nn.Linear(size, 1, bias=False) for size in (1, 4, 3, 2)])
    record = looked_at(module)
    assert {name for name in record.metrics if name.startswith("weights/norm/")} == {
        "weights/norm/1.weight", "weights/norm/2.weight",
    }  # fmt: skip
    whole = torch.cat([one.detach().reshape(-1) for one in module.parameters()]).norm().item()
    assert record.metrics["weights/norm"].last == pytest.approx(whole)
    assert list(histograms(record, "weights")) == ["1.weight"]
    assert "watching: norms of the 2 largest of 4 parameters, and of all together" in [
        line.message for line in record.capture_report
    ]


def test_looking_changes_nothing():
    """Not the graph, not the random numbers, not a gradient, not a weight."""
    module = nn.Linear(3, 2)
    loss = module(torch.ones(1, 3)).sum()
    loss.backward(retain_graph=True)
    before = [torch.get_rng_state(), *(one.detach().clone() for one in module.parameters()), module.weight.grad.clone()]
    looked_at(module)
    after = [torch.get_rng_state(), *(one.detach() for one in module.parameters()), module.weight.grad]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert module.weight.requires_grad
    loss.backward()


def test_how_often_is_said_in_steps():
    """`True` is a hundred, 0 and False are never."""
    assert [steps_between(every) for every in (True, False, 0, 7)] == [100, 0, 0, 7]
    module = nn.Linear(2, 2)
    with autotrack.start_run("watched") as run:
        for every in (0, 4):
            watcher = Watcher(run, module, every=every, histograms=False)
            for step in range(9):
                watcher.look(step)
    record = autotrack.get_run("last")
    assert record.history_arrow(["weights/norm"])["step"].to_pylist() == [0, 4, 8]
    assert not record.media
