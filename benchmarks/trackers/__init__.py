"""One adapter per tracker, all with the same few verbs."""
