"""The acquisition window, made of the parts of this package."""
