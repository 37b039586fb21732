"""Runs of today and recorded ones: kept, shown, replayed, exported."""
