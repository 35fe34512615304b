"""Few-shot classification by SetFit."""

import tiny
from datasets import Dataset
from sentence_transformers import SentenceTransformer, models
from setfit import SetFitModel, Trainer, TrainingArguments

word = models.Transformer(tiny.bert("tiny-bert"), max_seq_length=16)
SentenceTransformer(modules=[word, models.Pooling(8)], device="cpu").save("tiny-sbert")
model = SetFitModel.from_pretrained("tiny-sbert")
data = Dataset.from_dict({"text": ["a good film", "the plot was bad"] * 4, "label": [1, 0] * 4})
args = TrainingArguments(max_steps=2, batch_size=4, report_to="none", show_progress_bar=False)
Trainer(model, args, train_dataset=data).train()
