"""Recording of runs, metrics and files into the journal of the process, through one collector."""
