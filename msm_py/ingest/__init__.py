"""Vendors' files to a lake: what they said and when it was known, and the lakes made of it."""
