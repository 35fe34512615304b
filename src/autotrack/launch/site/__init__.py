"""Not for importing: this folder goes first on PYTHONPATH, so that Python finds the `sitecustomize` in it."""
