"""Top-level pytest configuration: what every test of this repository shares."""
