"""An MDA sequence, filled in."""
