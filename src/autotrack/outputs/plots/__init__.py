"""Curves of metrics, drawn by matplotlib."""
