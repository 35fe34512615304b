"""What trainings of neural networks have in common, whatever framework drives them.

Integrations translate their framework's hooks into these parts; none of them imports a framework:

| part | what it gives |
|---|---|
| `optimizers` | optimizers, their groups and schedulers as params; the learning rate of each group |
| `modules` | a torch module: class, layer table, totals |
| `loaders` | data loaders and datasets, without consuming anything |
| `watching` | norms and histograms of gradients and weights |
| `pace` | throughput, time per epoch, and the seconds that autotrack itself took |
| `ownership` | whose loop this thread is in, so that a loop is recorded once |

What they record, all integrations alike:

- Params that the user set go under the framework's short names with origin "set", those that the framework filled in
  with origin "default", full configurations under `config.*` with origin "config".
- `optimizer.name`, `optimizer.lr`, …; of several optimizers `optimizer.0.name`, …; groups that differ from the first
  under `optimizer.groups.1.lr`; `scheduler.name`, … likewise. `model.class`, `model.module`, `model.parameters`,
  `model.trainable_parameters`, `model.bytes`; the layers are the evaluation `model/layers`.
- Metrics at the framework's own steps: `epoch`, `train/learning_rate` (further groups `train/learning_rate.1`, …),
  `train/steps_per_second`, `train/samples_per_second`, `train/tokens_per_second`, `train/epoch_time` (seconds); what
  the framework names itself by role first: `train/loss`, `val/loss`, `test/loss`. Watching adds `gradients/norm`,
  `gradients/norm/<parameter>`, `gradients/nonfinite`, `weights/norm`, `weights/norm/<parameter>`, and the histograms
  `gradients` and `weights` (media).
- A training that ends early says so in params: `end.stopped_by` (the callback's class), `end.step`,
  `end.restored_from` (step or epoch whose weights were put back).
- Each line of the capture report about hooks, what was seen and what was skipped is of the kind "capture".
"""
