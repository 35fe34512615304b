"""Hugging Face transformers: what a training records, by callback, `report_to` and autolog, alone and together."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from transformers import (  # noqa: E402
    BertConfig,
    BertForSequenceClassification,
    EarlyStoppingCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import autotrack  # noqa: E402
from autotrack.integrations.transformers import AutotrackCallback, hooks  # noqa: E402
from autotrack.integrations.transformers.metrics import role_first  # noqa: E402
from autotrack.recording.collector import collector  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("released")]
hooks = hooks.hooks  # which `released` releases


def tiny_bert() -> Any:
    """A BERT of a few thousand parameters, seeded."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )
    return BertForSequenceClassification(config)


def rows(count: int = 16) -> list[dict[str, Any]]:
    """Sentences of six tokens with a label."""
    generator = torch.Generator().manual_seed(1)
    return [
        {"input_ids": torch.randint(0, 50, (6,), generator=generator), "labels": torch.tensor(index % 2)}
        for index in range(count)
    ]


def arguments(folder: Path, **options: Any) -> Any:
    """Quiet, on the CPU, four steps, every one logged."""
    quiet = {"use_cpu": True, "disable_tqdm": True, "report_to": "none", "save_strategy": "no"}
    chosen = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "logging_steps": 1, "seed": 3}
    return TrainingArguments(output_dir=str(folder / "out"), **{**quiet, **chosen, **options})


def trainer(folder: Path, callbacks: Any = None, **options: Any) -> Any:
    """A trainer of a tiny BERT."""
    return Trainer(tiny_bert(), arguments(folder, **options), train_dataset=rows(), eval_dataset=rows(8),
                   callbacks=callbacks)  # fmt: skip


@pytest.fixture
def autolog() -> None:
    """Autolog for transformers alone."""
    autotrack.autolog("transformers")


def test_a_callback_records_a_training(tmp_path: Path) -> None:
    """Arguments apart from defaults, model, optimizer, data, metrics by role at their steps, the end."""
    training = trainer(
        tmp_path, [AutotrackCallback(experiment="berts", name="tiny")], learning_rate=0.01, eval_strategy="epoch",
        hub_token="hf_aVerySecretToken1234567890",
    )  # fmt: skip
    training.train()
    record = autotrack.get_run()
    assert (record.name, record.experiment, record.status, record.kind) == ("tiny", "berts", "finished", "training")
    params = record.params
    assert (params["learning_rate"], params["num_train_epochs"], params["seed"]) == (0.01, 2, 3)
    set_first = list(params)[:25]
    assert "learning_rate" in set_first
    assert "adam_beta1" not in set_first
    assert params["adam_beta1"] == 0.9
    assert params["config.hidden_size"] == 8
    assert (params["model.class"], params["model.trainable_share"]) == ("BertForSequenceClassification", 1.0)
    assert params["optimizer.name"] == "AdamW"
    assert (params["effective_batch_size"], params["planned_steps"]) == (8, 4)
    assert "aVerySecret" not in str(dict(params.items()))
    loss = record.metrics["train/loss"]
    assert (loss.count, loss.first_step, loss.last_step) == (4, 1, 4)
    assert record.metrics["val/loss"].count == 2
    assert record.metrics["train/learning_rate"].first <= 0.01
    assert record.metrics["train/mean_loss"].count == 1
    assert record.metrics["epoch"].last == 2
    assert record.metrics["train/epoch_time"].count == 2
    assert {dataset.role for dataset in record.datasets} == {"train", "val"}
    assert "model/layers" in {evaluation.name for evaluation in record.evaluations}
    assert params["end.step"] == 4


@pytest.mark.usefixtures("autolog")
def test_all_ways_together_record_once(tmp_path: Path) -> None:
    """Autolog, two callbacks and `report_to="autotrack"`: one run, each point once."""
    both = [AutotrackCallback(experiment="once"), AutotrackCallback()]
    trainer(tmp_path, both, report_to=["autotrack"]).train()
    (record,) = autotrack.runs(all=True)
    assert record.experiment == "once"
    assert record.metrics["train/loss"].count == 4


def test_report_to_is_enough(tmp_path: Path) -> None:
    """`report_to="autotrack"` records, with nothing else switched on."""
    trainer(tmp_path, report_to="autotrack").train()
    (record,) = autotrack.runs(all=True)
    assert record.metrics["train/loss"].count == 4


@pytest.mark.usefixtures("autolog")
def test_autolog_needs_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """A trainer made before `autolog()` is recorded, too; after `disable=True` none is."""
    autotrack.autolog(disable=True)
    early = trainer(tmp_path)
    autotrack.autolog("transformers")
    early.train()
    late = trainer(tmp_path)
    autotrack.autolog(disable=True)
    late.train()
    trainer(tmp_path).train()
    (record,) = autotrack.runs(all=True)
    assert record.metrics["train/loss"].count == 4


@pytest.mark.usefixtures("autolog")
def test_evaluations_belong_to_their_training(tmp_path: Path) -> None:
    """`evaluate` and `predict` after `train` are facts of its run, which stays finished."""
    training = trainer(tmp_path)
    training.train()
    training.evaluate()
    training.predict(rows(4))
    (record,) = autotrack.runs(all=True)
    assert record.status == "finished"
    assert {"val/loss", "test/loss"} <= set(record.metrics)


@pytest.mark.usefixtures("autolog")
def test_an_evaluation_with_a_prefix_of_its_own_has_that_role(tmp_path: Path) -> None:
    """`metric_key_prefix="holdout"` is `holdout/loss`; the training's own metrics stay as they were."""
    training = trainer(tmp_path)
    training.train()
    found = training.evaluate(rows(4), metric_key_prefix="holdout")
    record = autotrack.get_run()
    assert record.metrics["holdout/loss"].last == pytest.approx(found["holdout_loss"])
    assert not [key for key in record.metrics if "holdout" in key and not key.startswith("holdout/")]
    assert record.metrics["epoch"].count == 4  # steps, whatever stands beside them


@pytest.mark.usefixtures("autolog")
def test_what_was_not_given_is_not_set(tmp_path: Path) -> None:
    """What transformers resolves stands among the defaults, and no token is no secret."""
    trainer(tmp_path, per_device_train_batch_size=4).train()
    record = autotrack.get_run()
    given = {"use_cpu", "disable_tqdm", "save_strategy", "num_train_epochs", "per_device_train_batch_size",
             "logging_steps", "output_dir", "seed"}  # fmt: skip
    named = {field.name for field in dataclasses.fields(TrainingArguments)}
    set_ones = {key.partition(".")[0] for key in record.params if record.params.origin(key) == "set"}
    assert set_ones & named == given
    assert not [line for line in record.capture_report if "hub_token" in line]


class Endless(torch.utils.data.IterableDataset):
    """Rows without a length."""

    def __iter__(self) -> Any:
        return iter(rows(64))


class Crowded(Trainer):
    """A trainer whose device holds five rows at a time."""

    def training_step(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        if len(inputs["input_ids"]) > 5:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().training_step(model, inputs, *args, **options)


@pytest.mark.usefixtures("autolog")
def test_the_plan_is_what_is_planned(tmp_path: Path) -> None:
    """Without a length there is no number of epochs; the batch size is the one that trained."""
    Trainer(tiny_bert(), arguments(tmp_path, max_steps=2), train_dataset=Endless()).train()
    params = autotrack.get_run().params
    assert (params["planned_steps"], "planned_epochs" in params) == (2, False)
    crowded = Crowded(tiny_bert(), arguments(tmp_path, auto_find_batch_size=True), train_dataset=rows())
    crowded.train()
    params = autotrack.get_run().params
    assert crowded.state.train_batch_size < 8
    assert params["batch_size"] == params["effective_batch_size"] == crowded.state.train_batch_size


@pytest.mark.usefixtures("autolog")
def test_two_trainings_are_two_runs(tmp_path: Path) -> None:
    """Of one trainer, too."""
    training = trainer(tmp_path)
    training.train()
    training.train()
    assert [run.metrics["train/loss"].count for run in autotrack.runs(all=True)] == [4, 4]


class Fails(TrainerCallback):
    """Fails in the third step."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            raise self.error


@pytest.mark.usefixtures("autolog")
@pytest.mark.parametrize(
    ("error", "status"), [(ZeroDivisionError("on purpose"), "failed"), (KeyboardInterrupt(), "killed")]
)
def test_an_exception_is_the_users(tmp_path: Path, error: BaseException, status: str) -> None:
    """It passes as it is, and the run says how it ended."""
    with pytest.raises(type(error)):
        trainer(tmp_path, [Fails(error)]).train()
    record = autotrack.get_run()
    assert record.status == status
    assert record.metrics["train/loss"].count == 2


@pytest.mark.usefixtures("autolog")
def test_checkpoints_and_the_best_model(tmp_path: Path) -> None:
    """Each checkpoint with its score; what was put back at the end; early stopping by name."""
    training = trainer(
        tmp_path, [EarlyStoppingCallback(1, early_stopping_threshold=10.0)], save_strategy="epoch",
        eval_strategy="epoch", load_best_model_at_end=True, metric_for_best_model="loss", save_total_limit=1,
        num_train_epochs=5,
    )  # fmt: skip
    training.train()
    assert collector().background.wait(170) == []  # which copies them
    record = autotrack.get_run()
    assert record.params["end.stopped_by"] == "EarlyStoppingCallback"
    assert record.params["end.restored_from"] == os.path.basename(training.state.best_model_checkpoint)
    kept = [file for file in record.artifacts if file.name.startswith("checkpoints/") and file.stored]
    best = os.path.basename(training.state.best_model_checkpoint)
    (weights,) = [file for file in kept if file.name == f"checkpoints/{best}/model.safetensors"]
    losses = [row["eval_loss"] for row in training.state.log_history if "eval_loss" in row]
    assert (weights.meta["score"], weights.meta["monitor"], weights.meta["best"]) == (min(losses), "loss", True)
    assert weights.read() == Path(training.state.best_model_checkpoint, "model.safetensors").read_bytes()


@pytest.mark.usefixtures("autolog")
def test_a_resumed_training_says_what_it_goes_on_from(tmp_path: Path) -> None:
    """With `resume_from_checkpoint` the run that wrote the checkpoint is named."""
    trainer(tmp_path, save_strategy="epoch", num_train_epochs=1).train()
    first = autotrack.get_run()
    trainer(tmp_path, save_strategy="epoch", num_train_epochs=2).train(resume_from_checkpoint=True)
    resumed = autotrack.get_run()
    assert resumed.tags["resumed_from"] == first.id
    assert resumed.metrics["train/loss"].first_step == 3


@pytest.mark.usefixtures("autolog")
def test_a_search_with_optuna(tmp_path: Path) -> None:
    """The search is a run, each trial a child of it with its own parameters and metrics."""
    pytest.importorskip("optuna")
    autotrack.autolog("optuna")
    searching = Trainer(
        model_init=lambda trial: tiny_bert(), args=arguments(tmp_path, eval_strategy="epoch", num_train_epochs=1),
        train_dataset=rows(), eval_dataset=rows(8),
    )  # fmt: skip
    best = searching.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)}, n_trials=2,
        direction="minimize", backend="optuna",
    )  # fmt: skip
    (search,) = autotrack.runs()
    assert (search.kind, search.status) == ("search", "finished")
    assert search.params["best_params.learning_rate"] == best.hyperparameters["learning_rate"]
    trials = list(search.children())
    assert [trial.kind for trial in trials] == ["trial", "trial"]
    assert len({trial.params["learning_rate"] for trial in trials}) == 2
    assert all(trial.metrics["train/loss"].count == 2 for trial in trials)


@pytest.mark.usefixtures("autolog")
def test_adapters_are_told_apart(tmp_path: Path) -> None:
    """With PEFT the share that is trained is small, and the adapter's configuration is kept."""
    peft = pytest.importorskip("peft")
    adapter = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"])
    model = peft.get_peft_model(tiny_bert(), adapter)
    Trainer(model, arguments(tmp_path, label_names=["labels"]), train_dataset=rows()).train()
    record = autotrack.get_run()
    assert 0 < record.params["model.trainable_share"] < 0.5
    assert record.params["config.peft.default.r"] == 2


@pytest.mark.usefixtures("autolog")
def test_sequence_to_sequence(tmp_path: Path) -> None:
    """`Seq2SeqTrainer` is recorded like any other, with the configuration of its generation."""
    config = T5Config(
        vocab_size=50, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )  # fmt: skip
    data = [{"input_ids": row["input_ids"], "labels": row["input_ids"]} for row in rows()]
    quiet = {"use_cpu": True, "disable_tqdm": True, "report_to": "none", "save_strategy": "no"}
    args = Seq2SeqTrainingArguments(str(tmp_path), max_steps=2, logging_steps=1, predict_with_generate=True, **quiet)
    Seq2SeqTrainer(T5ForConditionalGeneration(config), args, train_dataset=data).train()
    record = autotrack.get_run()
    assert (record.params["trainer.class"], record.metrics["train/loss"].count) == ("Seq2SeqTrainer", 2)
    assert record.params["predict_with_generate"] is True
    assert record.params["config.generation.decoder_start_token_id"] == 0


def weights(folder: Path) -> bytes:
    """The weights of a seeded training, byte for byte."""
    training = trainer(folder)
    training.train()
    return b"".join(tensor.numpy().tobytes() for tensor in training.model.state_dict().values())


def test_the_weights_are_the_same_with_and_without(tmp_path: Path) -> None:
    """Bit by bit, gradients watched or not."""
    without = weights(tmp_path)
    autotrack.autolog("transformers", watch=1)
    assert weights(tmp_path) == without
    assert autotrack.get_run().metrics["gradients/norm"].count == 4
    autotrack.autolog(disable=True)
    assert weights(tmp_path) == without


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("eval_loss", "val/loss"), ("test_accuracy", "test/accuracy"), ("train_runtime", "train/runtime"),
        ("loss", "train/loss"), ("grad_norm", "train/grad_norm"), ("epoch", "epoch"), ("rewards/mean", "rewards/mean"),
        ("train_loss", "train/mean_loss"), ("eval_", "train/eval_"),
    ],
)  # fmt: skip
def test_the_role_comes_first(name: str, key: str) -> None:
    """The names of transformers, as they are recorded."""
    assert role_first(name) == key


SCRIPT = """
    import time, torch, autotrack
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    autotrack.autolog()
    config = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    data = [{"input_ids": torch.arange(6), "labels": torch.tensor(index % 2)} for index in range(16)]
    args = TrainingArguments("out", use_cpu=True, disable_tqdm=True, logging_steps=1, save_strategy="no",
                             num_train_epochs=2, per_device_train_batch_size=4, report_to="none")
    Trainer(BertForSequenceClassification(config), args, train_dataset=data).train()
    until = time.monotonic() + 150
    while args.process_index and "system/rank.1/process.memory" not in autotrack.get_run("last").metrics:
        assert time.monotonic() < until, "the machine of this rank was not looked at"
        time.sleep(0.02)
"""


def test_two_processes_of_torchrun_are_one_run(tmp_path: Path) -> None:
    """Exactly one run, with the metrics of rank 0 and how both machines were doing."""
    (tmp_path / "train.py").write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"]
    environment = {**os.environ, "AUTOTRACK_MONITOR_INTERVAL": "3600", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    assert "AutotrackWarning" not in done.stderr
    (record,) = autotrack.runs(all=True)
    assert record.status == "finished"
    assert record.params["trainer.world_size"] == 2
    assert record.metrics["train/loss"].count == 4
    assert record.metrics["system/rank.1/process.memory"].last > 0
