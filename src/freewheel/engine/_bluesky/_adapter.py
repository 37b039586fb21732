"""bluesky's run engine, around freewheel's core."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, final

import bluesky.run_engine as bluesky_run_engine
from bluesky.utils import DuringTask, Msg

from ._asked import Suspension
from ._bundler import LeanRunBundler
from ._core import EngineCore
from ._requests import Request, Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.core import EngineState
    from freewheel.engine._household import Household

    from ._dispatch import FairDispatcher
    from ._registry import Command

__all__ = ["BlueskyEngine", "SharedAttribute", "inside_of", "loop_threads"]

_ALIASES = (
    "subscribe_lossless",
    "unsubscribe_lossless",
    "_subscribe_lossless",
    "_unsubscribe_lossless",
)


class _NoPlanReturn(Enum):
    """In a result, where a plan that was ended has returned nothing: bluesky's is an object()."""

    NO_PLAN_RETURN = "no plan return"

    def __repr__(self) -> str:
        """Return what a person reads in a result."""
        return "<nothing: the plan was ended>"


_NO_PLAN_RETURN: Final = _NoPlanReturn.NO_PLAN_RETURN


@final
class _LoopFacade:
    """Stands for the loop while bluesky's constructor runs.

    That constructor waits for the loop to make an event which this engine does not use; on the
    loop's own thread it would wait for ever. Whatever else it wants is the loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real = loop

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> None:
        callback(*args)

    def is_running(self) -> bool:
        """Answer for a loop whose thread may not have come to run it yet: it does, or will.

        If it said no, bluesky would start a second thread that runs the same loop.
        """
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@final
class SharedAttribute:
    """An attribute of bluesky's engine that is kept in the household, for the children too."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        attributes = vars(instance)
        household = attributes.get("_household")
        return attributes[self._name] if household is None else getattr(household, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        household = vars(instance).get("_household")
        if household is None:  # bluesky's constructor is at work
            vars(instance)[self._name] = value
        else:
            setattr(household, self._name, value)


# bluesky's class is typed in part only, and what is typed there says that its calls wait.
_Base: Any = bluesky_run_engine.RunEngine


class BlueskyEngine(_Base):  # type: ignore[misc]
    """bluesky's engine, whose plans freewheel's core runs, on a loop that runs already.

    It has the methods of bluesky's that carry out commands, and where these ask the engine for
    something that is the core's it hands the question on. The names that it takes from bluesky's
    class are listed in `_names`.

    Parameters
    ----------
    household : Household
        What the engine shares with its children.
    dispatcher : FairDispatcher
        Of documents to the engine's own subscribers.
    loop : asyncio.AbstractEventLoop
        A loop that runs.
    thread : threading.Thread
        The thread that runs it.
    commands : mapping
        All commands that freewheel knows.
    in_child : bool
        Whether the engine runs background plans.
    """

    RunBundler = LeanRunBundler
    md = SharedAttribute()
    md_validator = SharedAttribute()
    md_normalizer = SharedAttribute()
    scan_id_source = SharedAttribute()
    preprocessors = SharedAttribute()
    record_interruptions = SharedAttribute()
    #: Messages that are kept for a rewind, at most, where a plan takes no checkpoints.
    max_cached_messages = SharedAttribute()
    # The user's hooks; a child need not have them itself.
    msg_hook: Callable[[Msg], Any] | None = None
    state_hook: Callable[[str, str], Any] | None = None
    waiting_hook: Callable[[Any], Any] | None = None
    #: The hook of bluesky's coming feature: called with open progress scopes, or ``None``.
    progress_hook: Callable[[Any], Any] | None = None

    def __init__(
        self,
        household: Household,
        dispatcher: FairDispatcher,
        *,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        commands: Mapping[str, Command],
        in_child: bool = False,
        call_returns_result: bool = True,
    ) -> None:
        _construct(super().__init__, loop, thread, household, call_returns_result)
        self._loop = loop
        self._th = thread
        self.pause_msg = ""
        self.NO_PLAN_RETURN = _NO_PLAN_RETURN
        self.dispatcher = dispatcher
        for name in _ALIASES:
            delattr(self, name)  # of the dispatcher that this one replaces
        self._core = EngineCore(self, household, loop, thread, commands, in_child=in_child)
        self._requests = Requests(self._core)
        if in_child:
            _slim(self)
        for name in household.bluesky_names:
            value = self.__dict__.pop(name)
            if not in_child:  # bluesky's defaults are in it
                setattr(household, name, value)
        self._household = household

    # -- the state ----------------------------------------------------------------------------

    @property
    def _state(self) -> EngineState:
        return self._core.states.now

    @_state.setter
    def _state(self, name: str) -> None:
        self._core.states.change(name)

    @property
    def resumable(self) -> bool:
        """Whether the plan can be rewound: it has not cleared its checkpoint."""
        plan = self._core.plan
        return plan is None or plan.replay.possible

    @property
    def deferred_pause_requested(self) -> bool:
        """Whether a deferred pause was requested that has not taken effect."""
        return self._core.states.pause_deferred

    # -- requests -----------------------------------------------------------------------------

    def request_suspend(
        self,
        fut: Callable[[], Any],
        *,
        pre_plan: Any = None,
        post_plan: Any = None,
        justification: str | None = None,
    ) -> None:
        """Suspend the running plan until ``fut`` is done; from any thread, without waiting.

        See ``bluesky.run_engine.RunEngine.request_suspend`` for the parameters.
        """
        self.log.warning(
            "Suspending the plan %r%s",
            self._core.plan_name,
            f": {justification}" if justification else ".",
        )
        suspension = Suspension(pre_plan, post_plan, justification, fut)
        self._requests.request(Request.SUSPEND, suspension)

    async def _request_pause_coro(self, defer: bool = False) -> None:
        """Pause from the engine's own thread: what the ``pause`` message and queueserver do."""
        if not defer and asyncio.current_task() is self._task:
            self._core.pause_from_inside()
        else:  # queueserver's calls come from beside the plan, and cut short what it waits for
            self._requests.request(Request.PAUSE, defer)

    # -- what bluesky's commands ask for ------------------------------------------------------

    def _reset_checkpoint_state_meth(self) -> None:
        self._core.take_checkpoint()

    def _clear_call_cache(self) -> None:
        self._core.forget_call()

    def _add_status_to_group(self, obj: Any, status_object: Any, group: Any, action: str) -> None:
        self._core.statuses.add(obj, status_object, group, action)

    def _call_waiting_hook(self, *args: Any, **kwargs: Any) -> None:
        if self.waiting_hook is not None:
            super()._call_waiting_hook(*args, **kwargs)
        for observer in self._core.waiting_observers:
            observer(*args)

    # -- commands -----------------------------------------------------------------------------

    @property
    def commands(self) -> list[str]:
        """The names of all commands."""
        return self._core.registry.names()

    # -- documents ----------------------------------------------------------------------------

    def subscribe_lossless(self, func: Callable[..., Any], name: str = "all") -> Any:
        """Subscribe, as bluesky's old name for it has it."""
        return self.dispatcher.subscribe(func, name)

    def unsubscribe_lossless(self, token: Any) -> None:
        """Unsubscribe, as bluesky's old name for it has it."""
        self.dispatcher.unsubscribe(token)

    _subscribe_lossless = subscribe_lossless
    _unsubscribe_lossless = unsubscribe_lossless

    def emit_sync(self, name: Any, doc: Any) -> None:
        """Emit a document to the subscribers; on the loop's thread, whoever calls."""
        self._core.documents.emit(name, doc)

    async def emit(self, name: Any, doc: Any) -> None:
        """Emit a document; wait for a queued subscriber that is far behind."""
        documents = self._core.documents
        documents.emit(name, doc)
        if documents.piled.up and documents.is_behind():
            await self._core.let_subscribers_catch_up()


def inside_of(engine: BlueskyEngine) -> tuple[EngineCore, Requests]:
    """Return the core of an engine, and what runs its plans: the port for who makes the engine."""
    return engine._core, engine._requests


def loop_threads() -> Any:
    """Return bluesky's mapping of the loops that run to their threads."""
    ensure: Any = bluesky_run_engine._ensure_event_loop_running
    return ensure.loop_to_thread


def _construct(
    init: Callable[..., None],
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    household: Household,
    call_returns_result: bool,
) -> None:
    """Call bluesky's constructor so that it neither waits for the loop nor starts a thread."""
    threads = loop_threads()
    facade = _LoopFacade(loop)
    threads[facade] = threads[loop] = thread
    previous = bluesky_run_engine.get_bluesky_event_loop()
    try:
        init(
            household.md,
            loop=facade,
            preprocessors=household.preprocessors,
            context_managers=[],
            md_validator=household.md_validator,
            md_normalizer=household.md_normalizer,
            scan_id_source=household.scan_id_source,
            during_task=DuringTask(),
            call_returns_result=call_returns_result,
        )
    finally:
        if bluesky_run_engine.get_bluesky_event_loop() is facade:
            bluesky_run_engine.set_bluesky_event_loop(previous)


#: What a child has no use for and bluesky's commands do not ask for: its stacks, events and locks.
_LARGE = (deque, threading.Event, asyncio.Event, type(threading.RLock()))
#: Of bluesky's foreground.
_NOT_OF_CHILDREN = (
    "context_managers",
    "max_depth",
    "msg_hook",
    "pause_msg",
    "state_hook",
    "waiting_hook",
)


def _slim(engine: BlueskyEngine) -> None:
    """Give back the memory that an engine takes only to be ready; for one of hundreds."""
    attributes = {
        name: value
        for name, value in vars(engine).items()
        if name not in _NOT_OF_CHILDREN and not isinstance(value, _LARGE)
    }
    engine.__dict__ = attributes
