"""`autotrack run`: a command, launched and recorded without a line of code in it."""
