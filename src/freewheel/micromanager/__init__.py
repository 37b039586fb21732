"""Devices of Micro-Manager, for plans: whatever a loaded configuration has.

Needs pymmcore-plus and Micro-Manager's device adapters:
``pip install "freewheel[micromanager]"``.
"""

from freewheel.core import MissingExtraError

from ._import import import_core as _import_core

try:
    _import_core()
    from ._autofocus import Autofocus
    from ._camera import Camera
    from ._device import CoreDevice
    from ._devices import Core, MicroManagerDevices, devices
    from ._errors import (
        BufferOverflowError,
        ConfigurationFileError,
        CoreError,
        CoreTimeoutError,
        FrameTimeoutError,
    )
    from ._frames import FrameLimits
    from ._loading import load
    from ._motion import Stage, XYAxis, XYStage
    from ._properties import Properties
    from ._sequencer import HardwareSequencer
    from ._shutters import Opening, Shutter
    from ._states import ConfigGroup, StateDevice
except ModuleNotFoundError as error:
    if error.name not in {"pymmcore_plus", "pymmcore", "useq"}:
        raise
    raise MissingExtraError("freewheel.micromanager", "micromanager") from error

__all__ = [
    "Autofocus",
    "BufferOverflowError",
    "Camera",
    "ConfigGroup",
    "ConfigurationFileError",
    "Core",
    "CoreDevice",
    "CoreError",
    "CoreTimeoutError",
    "FrameLimits",
    "FrameTimeoutError",
    "HardwareSequencer",
    "MicroManagerDevices",
    "Opening",
    "Properties",
    "Shutter",
    "Stage",
    "StateDevice",
    "XYAxis",
    "XYStage",
    "devices",
    "load",
]
