"""Waiting for a plan in the thread that runs it, as bluesky's own engine does."""

from __future__ import annotations

import ctypes
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from bluesky.utils import DefaultDuringTask, SigintHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from bluesky.utils import DuringTask

__all__ = ["block_until", "default_managers", "interrupt_thread", "managed", "set_during_task"]

#: Seconds that a plan has to end after Ctrl-C was hit once too often, as in bluesky.
PANIC_GRACE: Final = 1.0
#: Who waits for a plan looks so often [s] whether a signal has come.
_HEAR_EVERY: Final = 0.2


def default_managers() -> list[Any]:
    """Return bluesky's context managers around a call: Ctrl-C asks for a pause."""
    return [SigintHandler]


def set_during_task(engine: Any, during_task: DuringTask | None) -> None:
    """Give an engine what waits for its plans; by default bluesky's, which runs Qt's loop."""
    engine._during_task = DefaultDuringTask() if during_task is None else during_task


@contextmanager
def managed(engine: Any, managers: list[Any]) -> Iterator[None]:
    """Enter the context managers of an engine around a call that waits.

    bluesky's handler of Ctrl-C is left out where Python cannot install it: off the main thread.
    """
    on_main = threading.current_thread() is threading.main_thread()
    with ExitStack() as stack:
        for manager in managers:
            if on_main or manager is not SigintHandler:
                stack.enter_context(manager(engine))
        yield


class _Hearing(threading.Event):
    """An event that is waited for in steps, between which the handlers of signals run.

    Python runs them on the main thread alone, and wakes it from a wait for that: but not on
    Windows, and nowhere if the signal came just before the wait, or to another thread. Ctrl-C was
    heard of at the next one then.
    """

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            return super().wait(timeout)
        while not super().wait(_HEAR_EVERY):
            pass
        return True


def block_until(engine: Any, future: Future[Any]) -> None:
    """Wait in this thread until a future is done, in the way that the engine was given."""
    done = _Hearing()
    future.add_done_callback(lambda _: done.set())
    engine._during_task.block(done)


def interrupt_thread(thread: threading.Thread, wait: Callable[[float], bool]) -> bool:
    """Raise ``KeyboardInterrupt`` in a thread, and tell whether ``wait`` was over by then.

    What hangs in a system call does not hear of it before that returns.
    """
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(KeyboardInterrupt))
    if wait(PANIC_GRACE):
        return True
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, None)  # not at some later moment
    return False
