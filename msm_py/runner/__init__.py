"""Invocations of dbt, executors, sweeps, robustness panels and null markets as work."""
