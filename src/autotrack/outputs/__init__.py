"""What is made of records: pages, plots, reports, exports, checkouts."""
