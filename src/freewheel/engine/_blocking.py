"""bluesky's engine to the letter: the engine for programs that expect its calls to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from bluesky.run_engine import RunEngineResult, default_scan_id_source

from freewheel.core import EngineState
from freewheel.core._errors import with_text

from ._base import EngineBase
from ._bluesky import (
    Request,
    block_until,
    default_managers,
    interrupt_thread,
    managed,
    set_during_task,
)
from ._endings import panicked
from ._queue import checked_call

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from bluesky.utils import DuringTask

    from freewheel.core import EngineFuture

__all__ = ["BlockingRunEngine", "BlockingView"]


class BlockingRunEngine(EngineBase):
    """The same engine, whose calls wait: bluesky's engine, as far as a program can tell.

    For hosts such as bluesky-queueserver and blueapi, and for scripts written for bluesky's
    engine. Constructor, return values and who waits when are bluesky's: ``RE(plan)`` and
    ``RE.resume()`` wait for the plan; ``stop``, ``abort`` and ``halt`` wait for the end of a
    paused plan, and return at once while it runs, with the uids of the runs so far. What a call
    that is interrupted raises says what happened and how it goes on.

    On the engine's own thread, where waiting could never end, ``RE(plan)`` and ``resume`` are
    refused, and no other call waits.

    Parameters
    ----------
    md, loop, preprocessors, md_validator, md_normalizer, scan_id_source
        As for `RunEngine`.
    context_managers : list of callable, optional
        Called with the engine, and entered around each call that waits. By default bluesky's
        ``SigintHandler``: Ctrl-C asks for a pause at the next checkpoint, a second one pauses at
        once, and the eleventh halts the plan whatever it does. It is left out of calls on other
        threads than the main one, where Python cannot install it.
    during_task : bluesky.utils.DuringTask, optional
        What waits. By default bluesky's, which runs Qt's loop for matplotlib's windows.
    call_returns_result : bool, default: False
        Whether calls return a ``RunEngineResult``, or the uids of the plan's runs.
    """

    def __init__(
        self,
        md: dict[str, Any] | None = None,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        preprocessors: list[Callable[[Any], Any]] | None = None,
        context_managers: list[Any] | None = None,
        md_validator: Callable[[Any], Any] | None = None,
        md_normalizer: Callable[[Any], Any] | None = None,
        scan_id_source: Callable[[Any], Any] = default_scan_id_source,
        during_task: DuringTask | None = None,
        call_returns_result: bool = False,
    ) -> None:
        super().__init__(
            md,
            loop=loop,
            preprocessors=preprocessors,
            md_validator=md_validator,
            md_normalizer=md_normalizer,
            scan_id_source=scan_id_source,
            call_returns_result=call_returns_result,
        )
        self._wait_with(context_managers, during_task)

    def _wait_with(self, managers: list[Any] | None, during_task: DuringTask | None) -> None:
        self.context_managers = default_managers() if managers is None else managers
        set_during_task(self, during_task)

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> Any:
        """Run a plan, wait for its end, and return the uids of its runs, or its result.

        Raises
        ------
        RuntimeError
            If another plan runs or is paused: a queue would make the caller wait for ever.
        RunEngineInterrupted
            If the plan is paused, stopped, aborted or halted.
        """
        self._refuse_on_loop("RE(plan)")
        self._life.check_ready()
        self._check_call(metadata_kw)
        with managed(self, self.context_managers):
            return self._resolve(self._foreground.submit(plan, subs, metadata_kw, queue=False))

    def resume(self) -> Any:
        """Resume the paused plan, wait for its end, and return what its call would."""
        self._refuse_on_loop("resume()")
        self._life.check_usable()
        with managed(self, self.context_managers):
            return self._resolve(self._foreground.resume())

    def preempt(
        self,
        plan: Any,
        *,
        restore: bool = False,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a plan in place of the one that runs, and wait for its end; see `RunEngine`.

        Parameters
        ----------
        plan : PlanCall, generator or iterable of Msg
            The plan.
        restore : bool, default: False
            Whether what the parked plan has moved is put back before it goes on.
        name : str, optional
            What the plan is called; by default as its function.
        metadata : mapping, optional
            For its runs.

        Raises
        ------
        RuntimeError
            If nothing runs and the queue is held: it would wait for ever.
        """
        self._refuse_on_loop("preempt()")
        self._life.check_ready()
        call = checked_call(self._foreground.thread, plan, None, 0, name, metadata)
        with managed(self, self.context_managers):
            future = self._foreground.preempt(call, restores=bool(restore), queue=False)
            return self._resolve(future)

    def request_pause(self, defer: bool = False) -> None:
        """Pause the plan, or with ``defer`` at its next checkpoint; do not wait for it.

        Parameters
        ----------
        defer : bool, default: False
            Whether to wait for the next checkpoint.

        Raises
        ------
        TransitionError
            If there is no running plan.
        """
        self._life.check_usable()
        self._foreground.pause(defer)

    def stop(self) -> Any:
        """Stop the plan, with its clean-up; wait for that if it is paused.

        Returns
        -------
        tuple of str, or RunEngineResult
            The uids of its runs so far; with ``call_returns_result`` a result.

        Raises
        ------
        TransitionError
            If the engine is idle.
        """
        return self._end(Request.STOP, "success")

    def abort(self, reason: str = "") -> Any:
        """Abort the plan, with its clean-up; otherwise as `stop`.

        Parameters
        ----------
        reason : str, optional
            For the stop document.
        """
        return self._end(Request.ABORT, "abort", reason)

    def halt(self) -> Any:
        """Halt the plan, without its own clean-up; otherwise as `stop`."""
        return self._end(Request.HALT, "abort")

    def stop_all(self, reason: str = "") -> Any:
        """Stop every device and end everything that runs; wait for that. See `RunEngine`.

        Parameters
        ----------
        reason : str, optional
            For the stop documents, and the log.
        """
        future = super().stop_all(reason)
        return None if self._core.on_loop_thread() else future.result()

    def _end(self, kind: Request, exit_status: str, reason: str = "") -> Any:
        self._life.check_usable()
        # As in bluesky a look, no lock: a plan that another thread pauses or resumes at this
        # moment is ended in any case, and is waited for or not.
        paused = self._core.states.now is EngineState.PAUSED
        if not paused or self._core.on_loop_thread():
            self._foreground.end(kind, reason)
            uids = self._core.run_start_uids
            if not self.call_returns_result:
                return uids
            return RunEngineResult(uids, self._core.no_value, exit_status, True, reason, None)
        with managed(self, self.context_managers):
            return self._resolve(self._foreground.end(kind, reason))

    def _refuse_on_loop(self, call: str) -> None:
        if self._core.on_loop_thread():
            raise RuntimeError(
                f"{call} of a BlockingRunEngine waits, which cannot be done on the run engine's "
                "own thread. Use freewheel.RunEngine, whose calls return futures."
            )

    def _resolve(self, future: EngineFuture[Any]) -> Any:
        try:
            block_until(self, future)
        except KeyboardInterrupt:
            self._get_out(future)
        except Exception:
            self._foreground.halt_if_running()
            raise
        try:
            return future.result()
        except Exception as error:
            # A host that cannot say what has gone wrong runs no plan any more.
            if (told := with_text(error)) is not error:
                raise told from error
            raise

    def _get_out(self, future: EngineFuture[Any]) -> None:
        """Give the prompt back to who hits Ctrl-C and no manager asks for a pause: it halts."""

        def ended(seconds: float) -> bool:
            try:
                future.exception(seconds)
            except TimeoutError:
                return False
            return True

        self._foreground.halt_if_running()
        if not ended(1.0) and not interrupt_thread(self._core.thread, ended):
            self._core.states.change(EngineState.PANICKED)
            raise panicked(self._core.plan_name)


@final
class BlockingView(BlockingRunEngine):
    """A `RunEngine` seen as one whose calls wait: ``RE.blocking``.

    It is the same engine: what is set on one is set on the other.
    """

    # Beside the shared attributes: how this one waits, and what it is a view of.
    __slots__ = ("_during_task", "_viewed", "context_managers")

    def __init__(self, engine: EngineBase) -> None:
        self.__dict__ = engine.__dict__
        self._viewed = engine  # an engine that nobody refers to is collected, and its loop ends
        self._wait_with(None, None)
