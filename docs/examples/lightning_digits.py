"""Which digit is it: a small network on 1,797 handwritten ones, trained by PyTorch Lightning."""

import logging
import warnings

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import autotrack

autotrack.autolog()

torch.set_num_threads(1)  # quickest for a network this small
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Digits(pl.LightningModule):
    """Two layers, trained by AdamW."""

    def __init__(self, hidden: int = 64, lr: float = 0.005) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def loss(self, batch: list[torch.Tensor], role: str) -> torch.Tensor:
        inputs, labels = batch
        outputs = self.net(inputs)
        loss = nn.functional.cross_entropy(outputs, labels)
        self.log_dict({f"{role}/loss": loss, f"{role}/accuracy": (outputs.argmax(1) == labels).float().mean()})
        return loss

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        return self.loss(batch, "train")

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        self.loss(batch, "val")

    def test_step(self, batch: list[torch.Tensor], index: int) -> None:
        self.loss(batch, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.hparams["lr"])


pl.seed_everything(0, verbose=False)
X, y = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y))
rest, unseen = train_test_split(data, test_size=0.25, random_state=0)
seen, held_out = train_test_split(rest, test_size=0.2, random_state=0)

trainer = pl.Trainer(
    max_epochs=3, accelerator="cpu", logger=False, log_every_n_steps=5,
    enable_progress_bar=False, enable_model_summary=False,
    callbacks=[
        EarlyStopping("val/loss", patience=2),
        ModelCheckpoint("checkpoints", "digits-{epoch}", monitor="val/loss", save_last=True),
    ],
)  # fmt: skip
trainer.fit(Digits(), DataLoader(seen, batch_size=32, shuffle=True), DataLoader(held_out, batch_size=270))
(scores,) = trainer.test(dataloaders=DataLoader(unseen, batch_size=450), ckpt_path="best", verbose=False)
print(f"Digits: accuracy {scores['test/accuracy']:.3f} on unseen digits")
