"""What tests put in the place of something, and what they do again and again.

``pythonpath`` in ``pyproject.toml`` lets every test import it: ``from doubles import Device, run``.
Simulated devices that are like real ones are `freewheel.sim`'s; these here are for tests that have
to know, or to decide, at which moment something happens.
"""

from .account import Account, AccountedDevice, User
from .cameras import CountedCamera, DarkCamera, FaultyCamera, FrameCamera, Shutter
from .clock import Clock
from .detectors import Detector, Gauge, PlainSensor, Sensor
from .devices import Device, Mover, SlowCache, SlowlyPaused, SlowlyUnstaged, Stage
from .engines import at_message, collect, on_loop, run
from .gate import Blocked, Gate
from .latches import OtherLatch
from .log import Log, at_log
from .plans import endless, failing, in_a_run, quick, value
from .scripts import run_script
from .silent import Silent
from .statuses import Finished, finished
from .uses import USES

__all__ = [
    "USES",
    "Account",
    "AccountedDevice",
    "Blocked",
    "Clock",
    "CountedCamera",
    "DarkCamera",
    "Detector",
    "Device",
    "FaultyCamera",
    "Finished",
    "FrameCamera",
    "Gate",
    "Gauge",
    "Log",
    "Mover",
    "OtherLatch",
    "PlainSensor",
    "Sensor",
    "Shutter",
    "Silent",
    "SlowCache",
    "SlowlyPaused",
    "SlowlyUnstaged",
    "Stage",
    "User",
    "at_log",
    "at_message",
    "collect",
    "endless",
    "failing",
    "finished",
    "in_a_run",
    "on_loop",
    "quick",
    "run",
    "run_script",
    "value",
]
