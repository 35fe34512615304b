"""How a run lives: how it is named, started, resumed, described and ended."""
