"""A loop of plain PyTorch, watched."""

import torch

import autotrack

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
with autotrack.start_run("watched") as run:
    run.watch(model, optimizer, every=2)
    for step in range(6):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 4)).pow(2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        run.log({"loss": loss}, step=step)
