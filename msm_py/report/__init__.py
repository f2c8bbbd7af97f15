"""What a person reads; computes nothing but display."""
