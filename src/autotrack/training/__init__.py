"""Parts shared by integrations: training loops, boosting, checkpoints, mirroring of other trackers."""
