"""An Optuna study whose objective trains with Lightning."""

import lightning.pytorch as pl
import optuna
import torch
from torch.utils.data import DataLoader, TensorDataset


class Net(pl.LightningModule):
    def __init__(self, lr):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


data = DataLoader(TensorDataset(torch.randn(8, 3)), batch_size=4)


def objective(trial):
    trainer = pl.Trainer(
        max_epochs=1,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(Net(trial.suggest_float("lr", 0.01, 0.1)), data)
    return float(trainer.callback_metrics["loss"])


optuna.create_study().optimize(objective, n_trials=2)
