"""Supervised fine-tuning by TRL."""

import tiny
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

data = Dataset.from_dict({"text": ["a good film", "the plot was bad"] * 4})
quiet = {"use_cpu": True, "bf16": False, "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
args = SFTConfig(
    "out",
    max_steps=2,
    per_device_train_batch_size=2,
    logging_steps=1,
    max_length=16,
    gradient_checkpointing=False,
    **quiet,
)
SFTTrainer(tiny.gpt(), args=args, train_dataset=data, processing_class=tiny.tokenizer()).train()
