"""The engine for programs that expect its calls to wait, as bluesky's do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from freewheel.core import EngineState

from ._base import EngineBase
from ._bluesky import Request

if TYPE_CHECKING:
    from freewheel.core import EngineFuture

__all__ = ["BlockingRunEngine"]

T = TypeVar("T")


class BlockingRunEngine(EngineBase):
    """The same engine, whose calls wait for their futures.

    For hosts such as bluesky-queueserver and blueapi. ``RE(plan)`` and ``RE.resume()`` return the
    result, or raise what the plan raised, or ``RunEngineInterrupted``. While one of them waits on
    the main thread, Ctrl-C asks for a pause at the next checkpoint, and a second one pauses at
    once. On the engine's own thread, where waiting could never end, ``RE(plan)`` and ``resume``
    are refused, and the other calls do not wait. It takes the parameters of `RunEngine`.
    """

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> Any:
        """Run a plan, wait for its end, and return its result.

        Raises
        ------
        RuntimeError
            If another plan runs or is paused: a queue would make the caller wait for ever.
        """
        self._refuse_on_loop("RE(plan)")
        self._life.check_ready()
        return self._resolve(self._foreground.submit(plan, subs, metadata_kw, queue=False))

    def resume(self) -> Any:
        """Resume the paused plan, wait for its end, and return its result."""
        self._refuse_on_loop("resume()")
        self._life.check_usable()
        return self._resolve(self._foreground.resume())

    def request_pause(self, defer: bool = False) -> Any:
        """Pause the plan; wait until it is paused, or with ``defer`` do not."""
        self._life.check_usable()
        return self._resolve_off_loop(self._foreground.pause(defer))

    def stop(self) -> Any:
        """Stop the plan and wait for its clean-up."""
        return self._end(Request.STOP)

    def abort(self, reason: str = "") -> Any:
        """Abort the plan and wait for its clean-up."""
        return self._end(Request.ABORT, reason)

    def halt(self) -> Any:
        """Halt the plan and wait for its end."""
        return self._end(Request.HALT)

    def stop_all(self, reason: str = "") -> Any:
        """Stop every device and end everything that runs; wait for that. See `RunEngine`."""
        return self._resolve_off_loop(super().stop_all(reason))

    def _end(self, kind: Request, reason: str | None = None) -> Any:
        self._life.check_usable()
        return self._resolve_off_loop(self._foreground.end(kind, reason))

    def _resolve_off_loop(self, future: EngineFuture[T]) -> T | None:
        return None if self._core.on_loop_thread() else future.result()

    def _refuse_on_loop(self, call: str) -> None:
        if self._core.on_loop_thread():
            raise RuntimeError(
                f"{call} of a BlockingRunEngine waits, which cannot be done on the run engine's "
                "own thread. Use freewheel.RunEngine, whose calls return futures."
            )

    def _resolve(self, future: EngineFuture[T]) -> T:
        interrupts = 0
        while True:
            try:
                return future.result()
            except KeyboardInterrupt:
                if future.done():
                    raise  # the plan's own
                interrupts += 1
                if self._core.states.now is EngineState.RUNNING:
                    self._foreground.pause(defer=interrupts == 1)
