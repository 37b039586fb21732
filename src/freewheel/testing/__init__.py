"""What users need to test their own plans.

`freewheel.testing.plugin` is a pytest plugin with the fixtures ``RE``, ``documents``, ``clock``,
``leak_check`` and ``start_ioc``; the rest works without pytest.
"""

from ._clock import VirtualClock, VirtualTimeLoop
from ._documents import DocumentLog, assert_emitted, assert_events, assert_valid
from ._iocs import IocProcess
from ._leaks import no_leaks
from ._local_epics import local_epics
from ._ports import free_port

__all__ = [
    "DocumentLog",
    "IocProcess",
    "VirtualClock",
    "VirtualTimeLoop",
    "assert_emitted",
    "assert_events",
    "assert_valid",
    "free_port",
    "local_epics",
    "no_leaks",
]
