"""The live picture, its tools, and what is measured in it."""
