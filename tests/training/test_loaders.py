"""Data loaders and datasets are described without taking anything out of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.training.neural import loaders

torch: Any = pytest.importorskip("torch")
data: Any = torch.utils.data


class Untouchable(data.Dataset):  # type: ignore[misc, name-defined]
    """A dataset whose items cost something."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Any:
        raise AssertionError("no item is asked for")


class Endless(data.IterableDataset):  # type: ignore[misc, name-defined]
    """A stream."""

    def __iter__(self) -> Any:
        raise AssertionError("no iterator is made")

    def __len__(self) -> int:
        raise AssertionError("torch would remember that somebody asked")


def tensors(seed: int = 0, rows: int = 10) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return data.TensorDataset(torch.randn(rows, 3, generator=generator), torch.arange(rows))


def test_a_loader_tells_how_it_loads():
    """Batch size, batches, shuffling, workers, and what the dataset is."""
    before = torch.get_rng_state()
    loader = data.DataLoader(Untouchable(), batch_size=2, shuffle=True, drop_last=True)
    digest, facts = loaders.describe_loader(loader)
    assert digest == ""
    expected = {"batch_size": 2, "batches": 3, "shuffle": True, "workers": 0, "drop_last": True, "rows": 7}
    assert {key: facts[key] for key in expected} == expected
    assert facts["dataset"].endswith("Untouchable")
    assert facts["sampler"].endswith("RandomSampler")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stream_is_left_alone():
    """No iterator, no length, no fingerprint."""
    digest, facts = loaders.describe_loader(data.DataLoader(Endless(), batch_size=4))
    assert (digest, facts["kind"], facts["batch_size"]) == ("", "iterable", 4)
    assert "batches" not in facts
    generator = (number for number in range(3))
    assert loaders.describe_loader(generator)[1]["kind"] == "iterable"
    assert list(generator) == [0, 1, 2]


def test_tensors_in_memory_have_a_fingerprint():
    """The same for the same data, another one for other data, also for types that NumPy does not know."""
    one, same, other = (loaders.describe_loader(data.DataLoader(tensors(seed)))[0] for seed in (0, 0, 1))
    assert one == same != other
    assert len(one) == 64
    halves = [data.TensorDataset(tensors(seed).tensors[0].bfloat16()) for seed in (0, 0, 1)]
    first, again, different = (loaders.describe_dataset(half)[0] for half in halves)
    assert first == again != different


def test_parts_of_a_dataset_are_told_apart():
    """A subset by its rows, several datasets by each of them."""
    whole = tensors()
    first, second = data.random_split(whole, [6, 4], generator=torch.Generator().manual_seed(0))
    digests = {loaders.describe_dataset(one)[0] for one in (whole, first, second, data.ConcatDataset([first, second]))}
    assert len(digests) == 4
    assert "" not in digests
    _, facts = loaders.describe_dataset(first)
    assert (facts["rows"], facts["of"]["rows"]) == (6, 10)


def test_a_weighted_and_a_distributed_sampler_say_whether_they_shuffle():
    """By their own word or their kind."""
    weighted = data.DataLoader(tensors(), sampler=data.WeightedRandomSampler([1.0] * 10, 10))
    ordered = data.DataLoader(tensors(), sampler=data.DistributedSampler(tensors(), 2, 0, shuffle=False))
    batches = data.DataLoader(tensors(), batch_sampler=data.BatchSampler(data.SequentialSampler(tensors()), 3, False))
    assert loaders.describe_loader(weighted)[1]["shuffle"] is True
    assert loaders.describe_loader(ordered)[1]["shuffle"] is False
    assert loaders.describe_loader(batches)[1]["batch_size"] == 3
    assert loaders.describe_loader(batches)[1]["batches"] == 4


def test_datasets_of_hugging_face_bring_their_fingerprint():
    """Columns and types as well; nothing is read."""
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    digest, facts = loaders.describe_loader(made)
    assert facts["fingerprint"] == made._fingerprint
    assert (facts["rows"], facts["names"], facts["dtypes"]) == (
        2,
        ["text", "label"],
        {"text": "string", "label": "int64"},
    )
    assert digest == loaders.describe_loader(data.DataLoader(made))[0]


def test_they_are_recorded_with_their_role():
    """One dataset for each loader, named after role and place."""
    with autotrack.start_run("data") as run:
        loaders.record(run, data.DataLoader(tensors(), batch_size=5), "train")
        loaders.record(run, [data.DataLoader(tensors(1)), data.DataLoader(tensors(2))], "val")
        loaders.record(run, {"clean": data.DataLoader(tensors(3))}, "test")
        loaders.record(run, np.zeros((4, 2)), "predict")
        loaders.record(run, None, "test")
    found = {dataset.name: dataset for dataset in autotrack.get_run("last").datasets}
    assert {name: dataset.role for name, dataset in found.items()} == {
        "train": "train", "val.0": "val", "val.1": "val", "test.clean": "test", "predict": "predict",
    }  # fmt: skip
    assert found["train"].meta["batches"] == 2
    assert found["predict"].meta["shape"] == [4, 2]
    assert len({dataset.digest for dataset in found.values()} - {""}) == 5


def test_a_dataset_with_a_property_is_not_made_to_load():
    """Only what already lies in the object is looked at."""

    class Lazy(Untouchable):
        @property
        def tensors(self) -> Any:
            raise AssertionError("this would load the data")

        data = targets = indices = datasets = tensors

    digest, facts = loaders.describe_dataset(Lazy())
    assert (digest, facts["rows"]) == ("", 7)
