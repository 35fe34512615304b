"""`python -m autotrack.cli`, the same as `autotrack`."""

from autotrack.cli import main

main()
