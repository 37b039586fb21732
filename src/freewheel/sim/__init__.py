"""Simulated devices: a microscope made of ophyd-async parts, and faults on purpose.

Stage, focus and the camera that writes files need h5py (``pip install "freewheel[sim]"``);
they are loaded when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from freewheel.core import MissingExtraError

from ._camera import SimCamera
from ._faults import (
    ConnectionLostError,
    Fail,
    Fault,
    FaultError,
    FaultyCall,
    Hang,
    LoseConnection,
    ReturnNaN,
    Slow,
    WrongShape,
)
from ._injection import Firing, Injection, inject
from ._lights import Lamp, Shutter, ShutterState
from ._microscope import Microscope, microscope, microscope_async
from ._sample import View
from ._temperature import Thermometer

if TYPE_CHECKING:
    from ._file_camera import SimFileCamera
    from ._flyers import Encoders, Trajectory, TriggerBox
    from ._hardware import TriggerLine
    from ._motion import Axis, Stage
    from ._recorder import PositionRecorder

__all__ = [
    "Axis",
    "ConnectionLostError",
    "Encoders",
    "Fail",
    "Fault",
    "FaultError",
    "FaultyCall",
    "Firing",
    "Hang",
    "Injection",
    "Lamp",
    "LoseConnection",
    "Microscope",
    "PositionRecorder",
    "ReturnNaN",
    "Shutter",
    "ShutterState",
    "SimCamera",
    "SimFileCamera",
    "Slow",
    "Stage",
    "Thermometer",
    "Trajectory",
    "TriggerBox",
    "TriggerLine",
    "View",
    "WrongShape",
    "inject",
    "microscope",
    "microscope_async",
]

# ophyd_async.sim imports h5py, which is an extra.
_NEED_H5PY = {
    "Axis": "._motion",
    "Encoders": "._flyers",
    "PositionRecorder": "._recorder",
    "SimFileCamera": "._file_camera",
    "Stage": "._motion",
    "Trajectory": "._flyers",
    "TriggerBox": "._flyers",
    "TriggerLine": "._hardware",
}


def __getattr__(name: str) -> Any:
    module = _NEED_H5PY.get(name)
    if module is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(import_module(module, __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "h5py":
            raise
        raise MissingExtraError(f"freewheel.sim.{name}", "sim") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
