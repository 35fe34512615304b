"""Not to be imported: launched commands have this folder first on PYTHONPATH, so that its `sitecustomize` runs."""
