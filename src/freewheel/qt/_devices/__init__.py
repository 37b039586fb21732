"""Devices, moved and set by hand."""
