"""The run engine whose calls return futures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from freewheel.core._process import process

from ._base import EngineBase
from ._bluesky import Request
from ._hosts import HOSTS, refuse_host
from ._queue import checked_call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.core import EngineFuture

    from ._blocking import BlockingView
    from ._futures import PlanFuture

__all__ = ["RunEngine"]


class RunEngine(EngineBase):
    """A Bluesky run engine that never blocks.

    Parameters
    ----------
    md : dict, optional
        Metadata for every run.
    loop : asyncio.AbstractEventLoop, optional
        A loop that does not run; by default one of the engine's own, uvloop's where that is
        installed. It runs on a thread named ``bluesky-run-engine``. The loop of another engine
        will do too.
    preprocessors : list of callable, optional
        Functions that take a plan and return one; ``[f, g]`` are applied as bluesky applies them.
    md_validator, md_normalizer : callable, optional
        As in bluesky.
    scan_id_source : callable, optional
        Function of the metadata that gives the next scan id.
    call_returns_result : bool, default: True
        Whether futures end with a ``RunEngineResult`` or with the uids of the plan's runs.

    Attributes
    ----------
    events : EngineEvents
        psygnal signals.
    background : Background
        What runs beside the foreground plan: tasks by name, ``launch``, ``pending``, ``on_merge``.
    claims : ClaimsLedger
        Who holds which device.
    max_cached_messages : int
        Messages that are kept for a rewind, at most, where a plan takes no checkpoints.
    progress_hook : callable or None
        The hook of bluesky's coming feature: called with the open progress scopes, or ``None``.
    by_hand : ByHand
        What a person moves or changes: ``RE.by_hand.set(device, value)``.
    preview : callable
        ``RE.preview(plan)``: what a plan will do on this engine; as `freewheel.preview`.
    interlocks : Interlocks
        What must be so for messages about some devices to be carried out: ``RE.interlocks.add``.
    is_elsewhere : bool
        Whether its devices are those of another process; of this engine never.

    Notes
    -----
    Every method may be called from every thread, and none waits for the engine's loop, except
    `close` and `reset`.
    """

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> PlanFuture:
        """Start a plan, or queue it while another one runs; return at once.

        Parameters
        ----------
        plan : generator, iterable of Msg or PlanCall
            The plan.
        subs : callable, list or dict, optional
            Subscribers of this plan's documents alone.
        **metadata_kw
            Metadata for the plan's runs.

        Returns
        -------
        PlanFuture
            Done when the plan has ended and is cleaned up, or is paused.

        Raises
        ------
        TypeError
            For something that is no plan; and if bluesky-queueserver or blueapi calls, which
            would take the future for a result. Give these ``RE.blocking``.
        EngineClosedError, ForkedProcessError
            If this engine cannot run anything any more.
        """
        if metadata_kw or self.max_depth is not None:
            self._check_call(metadata_kw)
        # inspect's way takes ten times as long.
        module = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001
        if module.startswith(HOSTS):
            refuse_host(module)
        life = self._life
        if subs is None and process.number == life.process_number and not life.services.any_failed:
            future = self._foreground.start_usual(plan, metadata_kw)
            if future is not None:
                return future
        life.check_ready()
        return self._foreground.submit(plan, subs, metadata_kw, queue=True)

    def preempt(
        self,
        plan: Any,
        *,
        restore: bool = False,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> PlanFuture:
        """Run a plan in place of the one that runs, which goes on by itself afterwards.

        At its next checkpoint, or while it waits for an action, the plan that runs is parked: it
        keeps its runs, its tasks pause with it (but for those with ``suspendable=False``), and it
        lends its devices. Its future does not end, and its status is ``PARKED``. If the other one
        fails, or is stopped, aborted or halted, the first is left paused. With nothing running
        this is ``RE.queue.submit`` at the highest priority, and a held queue keeps it waiting.

        Parameters
        ----------
        plan : PlanCall, generator or iterable of Msg
            The plan.
        restore : bool, default: False
            Whether what the parked plan has moved is put back before it goes on, one after the
            other, in the order of its last moves.
        name : str, optional
            What the plan is called; by default as its function.
        metadata : mapping, optional
            For its runs.

        Returns
        -------
        PlanFuture
            Of the plan; `cancel` takes it back while it waits.

        Raises
        ------
        TypeError
            For something that is no plan.
        EngineClosedError, ForkedProcessError, ServiceFailedError
            If this engine runs no plan now.
        """
        self._life.check_ready()
        call = checked_call(self._foreground.thread, plan, None, 0, name, metadata)
        return self._foreground.preempt(call, restores=bool(restore))

    def request_pause(self, defer: bool = False) -> EngineFuture[None]:
        """Pause the plan, or with ``defer`` at its next checkpoint.

        Parameters
        ----------
        defer : bool, default: False
            Whether to wait for the next checkpoint.

        Returns
        -------
        EngineFuture of None
            Done when the plan is paused or has ended; with ``defer`` at once.

        Raises
        ------
        TransitionError
            If there is no running plan.
        """
        self._life.check_usable()
        return self._foreground.pause(defer)

    def resume(self) -> PlanFuture:
        """Resume the paused plan from its last checkpoint.

        While a pause is on its way this takes effect after it. A deferred pause that has not taken
        effect is withdrawn.

        Returns
        -------
        PlanFuture
            A new future with the same ``outcome``; the plan's present one if it has not ended,
            because a deferred pause was withdrawn.

        Raises
        ------
        TransitionError
            If no plan is paused, or is to pause.
        """
        self._life.check_usable()
        return self._foreground.resume()

    def stop(self) -> EngineFuture[Any]:
        """Stop the plan, with its clean-up, and mark it as successful.

        The plans that wait in the queue are cancelled, or held: as ``RE.queue.on_interruption``
        says.

        Returns
        -------
        EngineFuture
            Done when the clean-up is over, with what the plan's call returns; with the plan's
            exception, if it failed in its clean-up.

        Raises
        ------
        TransitionError
            If the engine is idle.
        """
        self._life.check_usable()
        return self._foreground.end(Request.STOP)

    def abort(self, reason: str = "") -> EngineFuture[Any]:
        """Stop the plan, with its clean-up, and mark it as aborted; otherwise as `stop`.

        Parameters
        ----------
        reason : str, optional
            For the stop document.
        """
        self._life.check_usable()
        return self._foreground.end(Request.ABORT, reason)

    def halt(self) -> EngineFuture[Any]:
        """End the plan without its own clean-up; otherwise as `stop`.

        The engine still stops and unstages the devices; a second call cuts short what hangs there.
        """
        self._life.check_usable()
        return self._foreground.end(Request.HALT)

    @property
    def blocking(self) -> BlockingView:
        """The same engine, seen as one whose calls wait, as bluesky's do: for hosts and scripts.

        An instance of bluesky's class and of `BlockingRunEngine`. What is set on it is set here.
        Its calls return what this engine's futures end with.
        """
        from ._blocking import BlockingView  # here, for few need it

        return BlockingView(self)
