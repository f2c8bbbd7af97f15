"""The lake: contract, reading, check, sample."""
