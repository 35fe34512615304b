"""Optimizers and schedulers as params: what was asked of them, apart from what torch filled in."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from autotrack.training.neural.optimizers import as_list, describe_optimizer, describe_scheduler, learning_rates
from autotrack.values import flat_params

torch: Any = pytest.importorskip("torch")
schedulers: Any = torch.optim.lr_scheduler


def parameters(*shapes: tuple[int, ...]) -> list[Any]:
    return [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]


def test_what_was_set_is_told_from_defaults():
    """By comparing with the signature of the class, so that a default given by hand is a default."""
    facts = describe_optimizer(torch.optim.AdamW(parameters((3, 2), (2,)), lr=0.01, betas=(0.9, 0.95), eps=1e-8))
    assert facts.chosen == {"name": "AdamW", "class": "torch.optim.adamw.AdamW", "lr": 0.01, "betas": [0.9, 0.95]}
    assert facts.default["eps"] == 1e-8
    assert facts.default["weight_decay"] == 0.01
    assert {"foreach", "fused", "maximize", "differentiable", "capturable"} <= facts.default.keys()
    assert (facts.default["tensors"], facts.default["parameters"]) == (2, 8)


def test_groups_after_the_first_say_what_they_have_differently():
    """With the number of parameters of each."""
    one, two = parameters((3, 2), (5,))
    facts = describe_optimizer(torch.optim.SGD([{"params": [one]}, {"params": [two], "lr": 0.5}], lr=0.1, momentum=0.9))
    assert (facts.chosen["lr"], facts.chosen["momentum"]) == (0.1, 0.9)
    assert facts.chosen["groups"] == {"1": {"lr": 0.5}}
    assert facts.default["groups"] == {"1": {"tensors": 1, "parameters": 5}}


def test_the_rate_is_the_one_that_was_asked_for():
    """A warm-up that has already begun does not replace it; the present one is a metric."""
    optimizer = torch.optim.SGD(parameters((1,)), lr=0.1)
    schedulers.LinearLR(optimizer, start_factor=0.01)
    assert describe_optimizer(optimizer).chosen["lr"] == 0.1
    assert learning_rates(optimizer) == {"train/learning_rate": pytest.approx(0.001)}


def test_a_rate_that_is_a_tensor_is_a_number():
    """And nothing else of it is kept."""
    assert describe_optimizer(torch.optim.Adam(parameters((1,)), lr=torch.tensor(0.25))).chosen["lr"] == 0.25


def test_rates_are_numbered_through_all_groups_and_optimizers():
    """The first has the plain name."""
    one, two, three = parameters((1,), (1,), (1,))
    groups = torch.optim.SGD([{"params": [one]}, {"params": [two], "lr": 0.5}], lr=0.1)
    assert learning_rates([groups, torch.optim.Adam([three], lr=0.02)]) == {
        "train/learning_rate": 0.1, "train/learning_rate.1": 0.5, "train/learning_rate.2": 0.02,
    }  # fmt: skip


def test_wrappers_are_looked_through():
    """accelerate's and Lightning's wrap the optimizer that torch made."""
    accelerate = pytest.importorskip("accelerate")
    lightning = pytest.importorskip("lightning.pytorch.core.optimizer")
    optimizer = torch.optim.SGD(parameters((1,)), lr=0.1)
    accelerated = accelerate.Accelerator(cpu=True).prepare(optimizer)
    assert accelerated is not optimizer
    for wrapped in (accelerated, lightning.LightningOptimizer(optimizer)):
        assert describe_optimizer(wrapped).chosen["class"] == "torch.optim.sgd.SGD"
        assert learning_rates(wrapped) == {"train/learning_rate": 0.1}


def test_an_optimizer_of_ones_own_is_described_like_any_other():
    """Its class and its settings, the required ones being set."""

    class Mine(torch.optim.Optimizer):  # type: ignore[misc]
        def __init__(self, params: Any, speed: float, care: str = "high") -> None:
            super().__init__(params, {"speed": speed, "care": care})

    facts = describe_optimizer(Mine(parameters((1,)), 3.0))
    assert (facts.chosen["name"], facts.chosen["speed"], facts.default["care"]) == ("Mine", 3.0, "high")


def half(step: int) -> float:
    return 0.5**step


def by(step: int, rate: float) -> float:
    return rate**step


class Decay:
    """A callable with a setting and a secret."""

    def __init__(self) -> None:
        self.rate = 0.5
        self._cache = object()

    def __call__(self, step: int) -> float:
        return self.rate**step


@pytest.mark.parametrize(
    ("make", "chosen"),
    [
        (lambda o: schedulers.StepLR(o, 3), {"step_size": 3}),
        (lambda o: schedulers.MultiStepLR(o, [2, 5, 5], gamma=0.5), {"milestones": [2, 5, 5], "gamma": 0.5}),
        (lambda o: schedulers.CosineAnnealingLR(o, T_max=10, eta_min=0.1), {"T_max": 10, "eta_min": 0.1}),
        (lambda o: schedulers.OneCycleLR(o, max_lr=0.5, total_steps=10), {"max_lr": 0.5, "total_steps": 10}),
        (lambda o: schedulers.ReduceLROnPlateau(o, "max", patience=3), {"mode": "max", "patience": 3}),
        (lambda o: schedulers.CosineAnnealingWarmRestarts(o, 5), {"T_0": 5}),
        (lambda o: schedulers.LambdaLR(o, half), {"lr_lambda": f"{__name__}.half"}),
        (
            lambda o: schedulers.LambdaLR(o, functools.partial(by, rate=0.5)),
            {"lr_lambda": {"function": f"{__name__}.by", "rate": 0.5}},
        ),
        (lambda o: schedulers.LambdaLR(o, Decay()), {"lr_lambda": {"function": f"{__name__}.Decay", "rate": 0.5}}),
    ],
    ids=lambda value: "" if isinstance(value, dict) else None,
)
def test_schedulers_are_told_by_what_was_set(make, chosen):
    """Under the names of their signature, functions by name, never with an address."""
    scheduler = make(torch.optim.SGD(parameters((1,)), lr=0.1))
    facts = describe_scheduler(scheduler)
    name = type(scheduler).__name__
    assert facts.chosen == {"name": name, "class": f"torch.optim.lr_scheduler.{name}", **chosen}
    assert " at 0x" not in json.dumps([facts.chosen, facts.default])
    before = describe_scheduler(scheduler)
    scheduler.optimizer.step()
    scheduler.step(*[1.0] * (name == "ReduceLROnPlateau"))
    assert describe_scheduler(scheduler) == before


def test_schedulers_in_a_row_are_told_each():
    """With the steps at which one follows the other."""
    optimizer = torch.optim.SGD(parameters((1,)), lr=0.1)
    inner = [schedulers.ConstantLR(optimizer, 0.1), schedulers.ExponentialLR(optimizer, 0.9)]
    row = describe_scheduler(schedulers.SequentialLR(optimizer, inner, milestones=[5])).chosen
    assert [row["schedulers"][number]["name"] for number in "01"] == ["ConstantLR", "ExponentialLR"]
    assert row["milestones"] == [5]
    chained = describe_scheduler(schedulers.ChainedScheduler(inner))
    assert chained.chosen["schedulers"]["1"]["gamma"] == 0.9


def test_the_schedules_of_transformers_are_functions_with_their_arguments():
    """They are made of `functools.partial`."""
    transformers = pytest.importorskip("transformers")
    optimizer = torch.optim.SGD(parameters((1,)), lr=0.1)
    facts = describe_scheduler(transformers.get_linear_schedule_with_warmup(optimizer, 3, 20))
    function = facts.chosen["lr_lambda"]
    assert function["function"].startswith("transformers.optimization.")
    assert (function["num_warmup_steps"], function["num_training_steps"]) == (3, 20)


def test_all_of_it_can_be_params():
    """Flat names, JSON values."""
    optimizer = torch.optim.SGD(parameters((1,)), lr=0.1)
    flat = flat_params({"scheduler": describe_scheduler(schedulers.LambdaLR(optimizer, [half])).chosen})
    assert flat["scheduler.lr_lambda"] == f'"{__name__}.half"'


def test_one_or_several_or_none():
    """Lists, mappings, and gaps."""
    optimizer = torch.optim.SGD(parameters((1,)), lr=0.1)
    assert as_list(None) == []
    assert as_list(optimizer) == [optimizer]
    assert as_list([optimizer, None]) == [optimizer]
    assert as_list({"generator": optimizer}) == [optimizer]
