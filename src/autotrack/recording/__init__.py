"""From what people hand over to the journal: runs, metrics, files, and the collector that all events pass."""
