"""Runs and their histories as files for other programs."""
