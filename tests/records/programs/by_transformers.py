"""A tiny BERT, trained by transformers' Trainer."""

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

import autotrack

autotrack.autolog("transformers")
set_seed(0)
model = BertForSequenceClassification(
    BertConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
)
rows = [{"input_ids": torch.randint(0, 32, (6,)), "labels": torch.tensor(i % 2)} for i in range(16)]
arguments = TrainingArguments(
    "out",
    max_steps=6,
    logging_steps=2,
    eval_strategy="steps",
    eval_steps=3,
    save_steps=3,
    per_device_train_batch_size=4,
    report_to=[],
    use_cpu=True,
    disable_tqdm=True,
)
Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:8]).train()
