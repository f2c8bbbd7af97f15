"""What the Python models of dbt call."""
