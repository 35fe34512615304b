"""Sentence embeddings by sentence-transformers."""

import tiny
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    losses,
    models,
)

word = models.Transformer(tiny.bert("tiny-bert"), max_seq_length=16)
model = SentenceTransformer(modules=[word, models.Pooling(8)], device="cpu")
data = Dataset.from_dict({"anchor": ["a good film", "the plot was bad"] * 4, "positive": ["good", "bad"] * 4})
quiet = {"use_cpu": True, "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
args = SentenceTransformerTrainingArguments("out", max_steps=2, per_device_train_batch_size=4, logging_steps=1, **quiet)
SentenceTransformerTrainer(model, args, train_dataset=data, loss=losses.MultipleNegativesRankingLoss(model)).train()
