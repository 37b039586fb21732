"""A Bluesky run engine that never blocks."""
