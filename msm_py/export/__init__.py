"""Runs for other systems that keep experiments."""
