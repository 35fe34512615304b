"""What integrations share: loops, boosting, checkpoints, other trackers."""
