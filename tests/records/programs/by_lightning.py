"""A small module of Lightning, by its callback."""

import lightning
import torch

from autotrack.integrations.lightning import AutotrackCallback


class Line(lightning.LightningModule):
    def __init__(self, width=3, lr=0.05):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(width, 1)

    def training_step(self, batch, index):
        loss = self.net(batch[0]).pow(2).mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", self.net(batch[0]).abs().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), self.hparams.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


lightning.seed_everything(0)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(32, 3)), 8)
trainer = lightning.Trainer(
    max_epochs=2,
    log_every_n_steps=1,
    accelerator="cpu",
    enable_progress_bar=False,
    logger=False,
    enable_model_summary=False,
    callbacks=[AutotrackCallback(tags={"by": "callback"})],
)
trainer.fit(Line(), data, data)
