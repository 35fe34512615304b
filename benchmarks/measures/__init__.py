"""One module per concern that is measured."""
