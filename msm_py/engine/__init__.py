"""State machine, walk-forward search and strategy returns, on arrays."""
