"""Inference and performance statistics, on arrays."""
