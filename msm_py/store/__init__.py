"""Run folders, records and the warehouse: what is written and read again."""
