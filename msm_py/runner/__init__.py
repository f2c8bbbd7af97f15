"""Invocations of dbt, executors, sweeps and robustness panels as work."""
