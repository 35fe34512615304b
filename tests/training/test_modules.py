"""What a module is, as its layer table and totals tell it."""

from __future__ import annotations

from typing import Any

import pytest

import autotrack
from autotrack.training.neural import modules

torch: Any = pytest.importorskip("torch")
nn: Any = torch.nn


class Tied(nn.Module):  # type: ignore[misc, name-defined]
    """An embedding that is the output layer, too; a frozen part, a buffer, a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.output = nn.Linear(4, 10, bias=False)
        self.output.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.ones(1))
        self.body[0].weight.requires_grad_(False)

    def forward(self, inputs: Any) -> Any:
        raise AssertionError("nothing is run")


def rows(facts: modules.ModuleFacts) -> dict[str, tuple[Any, ...]]:
    columns = facts.layers
    return {row[0]: row[1:] for row in zip(*columns.values(), strict=True)}


def test_shared_parameters_count_once():
    """In the totals and in the table, which add up to the same."""
    model = Tied()
    facts = modules.describe_module(model)
    assert facts.totals["parameters"] == sum(parameter.numel() for parameter in model.parameters()) == 69
    assert facts.totals["trainable_parameters"] == 53
    assert facts.totals["buffers"] == 9
    assert facts.totals["bytes"] == 69 * 4 + 8 * 4 + 8
    assert (facts.totals["dtype"], facts.totals["device"]) == ("torch.float32", "cpu")
    assert sum(facts.layers["parameters"]) == 69
    assert sum(facts.layers["trainable"]) == 53


def test_the_table_has_a_row_for_each_layer():
    """Name, type, depth, shapes, parameters and how many of them train; no row for what only holds others."""
    table = rows(modules.describe_module(Tied()))
    assert table == {
        "": ("Tied", 0, "scale 1", 1, 1),
        "embedding": ("Embedding", 1, "weight 10×4", 40, 40),
        "body.0": ("Linear", 2, "weight 4×4, bias 4", 20, 4),
        "body.1": ("BatchNorm1d", 2, "weight 4, bias 4", 8, 8),
        "output": ("Linear", 1, "weight 10×4", 0, 0),
    }


def test_a_deep_model_is_shown_less_deep():
    """A row then stands for all below it, and the sum stays right."""
    model = nn.Sequential(*[nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(10)])
    facts = modules.describe_module(model, most_layers=15)
    assert len(facts.layers["name"]) == 10
    assert set(facts.layers["type"]) == {"Sequential"}
    assert sum(facts.layers["parameters"]) == 60


def test_a_wide_model_is_cut_and_says_so():
    """What is left out is counted, and reported."""
    model = nn.Sequential(*[nn.Linear(1, 1) for _ in range(400)])
    with autotrack.start_run("wide") as run:
        facts = modules.record(run, model)
    assert (len(facts.layers["name"]), facts.left_out) == (300, 100)
    record = autotrack.get_run("last")
    assert "model/layers: 100 layers are left out" in [line.message for line in record.capture_report]
    assert record.params["model.parameters"] == 800
    assert len(record.evaluations["model/layers"].columns["name"]) == 300


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: nn.LazyLinear(3), {"parameters": 0, "not_yet_made": 2}),
        (lambda: nn.Linear(3, 2, device="meta"), {"parameters": 8, "bytes": 32, "device": "meta"}),
        (lambda: nn.Linear(3, 2).bfloat16(), {"bytes": 16, "dtype": "torch.bfloat16"}),
        (nn.ReLU, {"parameters": 0, "bytes": 0}),
        (lambda: torch.compile(nn.Linear(3, 2)), {"class": "Linear", "wrapped_in": ["OptimizedModule"]}),
        (lambda: nn.DataParallel(nn.Linear(3, 2)), {"class": "Linear", "wrapped_in": ["DataParallel"]}),
        (lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2))), {"parameters": 0}),
    ],
    ids=["lazy", "meta", "half", "without parameters", "compiled", "wrapped", "quantised"],
)
def test_modules_out_of_the_ordinary(make, expected):
    """Nothing is materialised, nothing fails, and what is known is said."""
    facts = modules.describe_module(make())
    assert {key: facts.totals[key] for key in expected} == expected
