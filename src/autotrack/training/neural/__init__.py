"""Parts shared by all integrations that record trainings of neural networks.

Integrations translate their framework's hooks into calls of these parts, which import no framework:

| part | what it records |
|---|---|
| `optimizers` | optimizers, their groups and schedulers as params; the learning rate of each group |
| `modules` | a torch module: class, layer table, totals |
| `loaders` | data loaders and datasets, without iterating over them |
| `watching` | norms and histograms of gradients and weights |
| `throughput` | throughput, time per epoch, and the seconds that autotrack itself took |
| `ownership` | which integration records the loop of a thread, so that it is recorded once |

All integrations record alike:

- Params that the user set under the framework's short names with origin "set", defaults of the framework with origin
  "default", full configurations under `config.*` with origin "config".
- `optimizer.name`, `optimizer.lr`, …; of several optimizers `optimizer.0.name`, …; groups that differ from the first
  under `optimizer.groups.1.lr`; `scheduler.name`, … likewise. `model.class`, `model.module`, `model.parameters`,
  `model.trainable_parameters`, `model.bytes`; the layers are the evaluation `model/layers`.
- Metrics at the framework's own steps: `epoch`, `train/learning_rate` (further groups `train/learning_rate.1`, …),
  `train/steps_per_second`, `train/samples_per_second`, `train/tokens_per_second`, `train/epoch_time` (seconds); metrics
  that the framework names with the role first: `train/loss`, `val/loss`, `test/loss`. Watching adds `gradients/norm`,
  `gradients/norm/<parameter>`, `gradients/nonfinite`, `weights/norm`, `weights/norm/<parameter>`, and the histograms
  `gradients` and `weights` (media).
- Params of a training that stops early: `end.stopped_by` (the callback's class), `end.step`, `end.restored_from` (step
  or epoch whose weights were restored).
- Lines of the capture report about hooks and about seen and skipped facts have `what` "capture".
"""
