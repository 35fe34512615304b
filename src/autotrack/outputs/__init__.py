"""Outputs made from records: HTML, plots, reports, exports, checkouts."""
