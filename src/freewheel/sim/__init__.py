"""A simulated microscope made of ophyd-async devices."""

__all__: list[str] = []
