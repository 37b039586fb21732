"""A stage, moved by hand: steps, places, and clicks on the picture."""
