"""What becomes of cores when the interpreter exits."""

from __future__ import annotations

import atexit
from weakref import WeakSet

from pymmcore_plus import CMMCorePlus

__all__ = ["leave_at_exit"]

# Added to, and copied, in single steps: from any thread.
_cores: WeakSet[CMMCorePlus] = WeakSet()


def leave_at_exit(core: CMMCorePlus) -> None:
    """Have a core call nobody any more when the interpreter exits.

    It tells of changes on a thread of its own. One that calls Python too late ends the process
    with SIGABRT, whatever the program has done well until then.
    """
    _cores.add(core)


@atexit.register
def _leave() -> None:
    for core in list(_cores):
        # pymmcore-plus has a method of that name, which refuses: the callback is its own.
        super(CMMCorePlus, core).registerCallback(None)
