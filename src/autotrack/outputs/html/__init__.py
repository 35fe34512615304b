"""HTML representations of records, for notebooks."""
