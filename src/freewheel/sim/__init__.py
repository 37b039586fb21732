"""Simulated devices: a microscope made of ophyd-async parts, and faults on purpose."""

from ._camera import SimCamera
from ._sample import View

__all__ = [
    "SimCamera",
    "View",
]
