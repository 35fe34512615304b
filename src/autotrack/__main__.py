"""`python -m autotrack`, the same as the command `autotrack`."""

from autotrack.cli import main

main()
