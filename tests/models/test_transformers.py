"""transformers models are kept as `save_pretrained` writes them, and come back without a look at any hub."""

from __future__ import annotations

import json

import numpy as np
import pytest

import autotrack
from autotrack.exceptions import InvalidValueError
from autotrack.models import load_model, save_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

X = np.array([[1, 5, 6, 2], [1, 7, 2, 0]])
LOGITS = "logits(model, X)"
WORDS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "good", "bad", "film", "plot"]


def logits(model, X):
    """The logits of a model, or of the model in a set of parts or pipeline."""
    with torch.no_grad():
        return getattr(model, "model", model)(torch.from_numpy(X)).logits.float().numpy()


PREPARED = """
import torch
def logits(model, X):
    model = model["model"] if isinstance(model, dict) else getattr(model, "pipe_model", model)
    model = model.model if type(model).__name__.endswith("Pipeline") else model
    with torch.no_grad():
        return model(torch.from_numpy(X)).logits.float().numpy()
"""


def bert(**options):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        num_labels=3, max_position_embeddings=16, **options,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config).eval()


@pytest.fixture
def tokenizer(tmp_path):
    """A word-level tokenizer made in code."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )


def adapted(base):
    peft = pytest.importorskip("peft")
    config = {"r": 2, "target_modules": ["query", "value"], "init_lora_weights": False}
    model = peft.get_peft_model(base, peft.LoraConfig(task_type="SEQ_CLS", **config))
    model.add_adapter("second", peft.LoraConfig(task_type="SEQ_CLS", **config))
    return model.eval()


def test_models_predict_the_same_in_a_fresh_process(predict_elsewhere, tokenizer):
    """A model, one in bfloat16, one with its tokenizer, a pipeline, and adapters on a base that has no name."""
    lora = adapted(bert())
    models = {
        "bert": bert(),
        "half": bert().to(torch.bfloat16),
        "parts": {"model": bert(), "tokenizer": tokenizer},
        "pipeline": transformers.pipeline("text-classification", model=bert(), tokenizer=tokenizer),
        "lora": lora,
    }
    expected = {name: logits(model["model"] if name == "parts" else model, X) for name, model in models.items()
                if name != "lora"}  # fmt: skip
    expected["lora"] = logits_of_adapted(lora)
    with autotrack.start_run("study") as run:
        for name, model in models.items():
            run.log_model(model, name)
    found = predict_elsewhere(models, X, LOGITS, PREPARED)
    for name in models:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    kept = {model.name: model for model in autotrack.get_run(run.id).models}
    assert {model.flavor for model in kept.values()} == {"transformers"}
    assert {file.name for file in kept["bert"].files} >= {"bert/config.json", "bert/model.safetensors"}
    assert any(line.startswith("transformers==") for line in kept["bert"].meta["requirements"])
    assert autotrack.load_model("runs:/study/half").dtype == torch.bfloat16
    parts = autotrack.load_model("runs:/study/parts")
    assert parts["tokenizer"]("good film")["input_ids"] == tokenizer("good film")["input_ids"]
    texts = ["good plot", "bad film"]
    assert autotrack.load_model("runs:/study/pipeline")(texts) == models["pipeline"](texts)


def logits_of_adapted(model):
    with torch.no_grad():
        return model(torch.from_numpy(X)).logits.numpy()


def test_adapters_load_onto_a_base_that_the_program_has():
    """The active one is active; those of the other name are there, too."""
    model = adapted(bert())
    model.set_adapter("second")
    saved = save_model(model)
    back = load_model(saved.files, into=bert())
    assert (back.active_adapter, sorted(back.peft_config)) == ("second", ["default", "second"])
    np.testing.assert_array_equal(logits_of_adapted(back.eval()), logits_of_adapted(model))
    back.set_adapter("default")
    model.set_adapter("default")
    np.testing.assert_array_equal(logits_of_adapted(back), logits_of_adapted(model))


def test_a_base_with_a_name_is_not_kept_with_its_adapters():
    """Its name is, since it can be had again; the adapters are small."""
    base = bert()
    base.config._name_or_path = "somebody/bert"
    saved = save_model(adapted(base))
    assert saved.meta["details"]["base"] == "somebody/bert"
    assert not [name for name in saved.files if name.startswith("base/")]


def test_files_cannot_bring_code():
    """A config that names code of its own is not followed, nor a class that is no model."""
    saved = save_model(bert())
    files = dict(saved.files)
    config = json.loads(files["config.json"])
    config["auto_map"] = {"AutoModelForSequenceClassification": "evil.Evil"}
    files["config.json"] = json.dumps(config).encode()
    files["evil.py"] = b"raise SystemExit"
    meta = {**saved.meta, "files": {}}
    assert type(load_model(files, meta)).__name__ == "BertForSequenceClassification"
    details = {**saved.meta["details"], "class": {"module": "os", "qualname": "system"}}
    with pytest.raises(InvalidValueError, match=r"os\.system as its class"):
        load_model(files, {**meta, "details": details})
