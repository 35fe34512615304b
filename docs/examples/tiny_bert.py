"""Did they like it: a tiny BERT, made from a config and trained by transformers on sentences made up here."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything it needs is in this file

from itertools import product

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils.logging import disable_progress_bar

import autotrack

autotrack.autolog()

disable_progress_bar()
torch.set_num_threads(1)  # quickest for a network this small

THINGS = ("the film", "this book", "their song", "the meal", "our trip", "the play")
LIKED = ("was wonderful", "is a joy", "moved me deeply", "was great fun", "is simply good")
DISLIKED = ("was dreadful", "is a bore", "annoyed me deeply", "was no fun", "is simply bad")
ASIDES = ("", "honestly", "to me", "in the end", "from first to last")

reviews = [
    (f"{aside} {thing} {verdict}".strip(), label)
    for aside, thing, (label, verdicts) in product(ASIDES, THINGS, enumerate((DISLIKED, LIKED)))
    for verdict in verdicts
]
words = sorted({word for text, _ in reviews for word in text.split()})
vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *words))}
splitting = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
splitting.pre_tokenizer = Whitespace()
splitting.post_processor = TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=splitting, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
)


def accuracy(predicted: EvalPrediction) -> dict[str, float]:
    """The share that is right."""
    return {"accuracy": float((predicted.predictions.argmax(-1) == predicted.label_ids).mean())}


set_seed(0)
examples = [{**tokenizer(text), "labels": label} for text, label in reviews]
order = torch.randperm(len(examples)).tolist()
train, val, test = ([examples[index] for index in part] for part in (order[:200], order[200:250], order[250:]))

model = BertForSequenceClassification(
    BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=16, num_labels=2,
    )
)  # fmt: skip
trainer = Trainer(
    model,
    TrainingArguments(
        "checkpoints", num_train_epochs=3, per_device_train_batch_size=16, learning_rate=0.01, logging_steps=5,
        eval_strategy="epoch", save_strategy="epoch", save_total_limit=1, load_best_model_at_end=True,
        use_cpu=True, disable_tqdm=True, report_to="none", log_level="error",
    ),
    train_dataset=train, eval_dataset=val, processing_class=tokenizer, compute_metrics=accuracy,
    data_collator=DataCollatorWithPadding(tokenizer),
)  # fmt: skip
trainer.remove_callback(PrinterCallback)  # which would print every row
trainer.train()
scores = trainer.predict(test).metrics
print(f"{type(model).__name__}: accuracy {scores['test_accuracy']:.3f} on unseen sentences")
