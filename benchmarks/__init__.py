"""Benchmarks against the peers; ``python -m benchmarks`` prints the table."""
