"""The lifecycle of a run: naming, start, resuming, capture of the environment, and end."""
