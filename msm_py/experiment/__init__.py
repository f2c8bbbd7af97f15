"""Experiments: schema, files, messages, ids, variants."""
