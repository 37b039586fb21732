"""The engine's public calls, driven by a property-based state machine.

``FREEWHEEL_EXAMPLES`` and ``FREEWHEEL_STEPS`` set how much is tried; 200 examples of 20 steps
by default.
"""

from __future__ import annotations

from engine_machine import EXAMPLES, EngineMachine, machine_settings


class UvloopEngineMachine(EngineMachine):
    """The same on a uvloop loop."""

    kind_of_loop = "uvloop"


SETTINGS = machine_settings(EXAMPLES // 2)  # half on each kind of loop
TestEngineOnAsyncio = EngineMachine.TestCase
TestEngineOnAsyncio.settings = SETTINGS
try:
    import uvloop as _uvloop  # noqa: F401
except ImportError:
    pass
else:
    TestEngineOnUvloop = UvloopEngineMachine.TestCase
    TestEngineOnUvloop.settings = SETTINGS
