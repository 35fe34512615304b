"""How journals become rows of the store, exactly once."""
