"""`autotrack run`: launching and recording a command without changes to its code."""
