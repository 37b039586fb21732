"""What a client sees of an engine: a prompt, a window, a program, in this process or another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar, overload

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import ModuleType
    from typing import TypeGuard

    from psygnal import SignalInstance

    from ._latch import SRLatch
    from ._plan_call import PlanCall
    from ._progress import Progress
    from ._snapshot import EngineSnapshot
    from ._states import PlanStatus

__all__ = [
    "PICTURE_SIGNALS",
    "BackgroundView",
    "ByHandView",
    "ClaimsView",
    "EngineView",
    "EventsView",
    "FutureView",
    "PlanFutureView",
    "QueueView",
    "is_engine",
]

#: The signals of `EventsView` after which a snapshot of the engine may be another one.
PICTURE_SIGNALS: Final = (
    "state_changed",
    "plan_started",
    "plan_ended",
    "queue_changed",
    "interlocks_changed",
    "actions_changed",
    "claims_changed",
    "background_changed",
    "progress_changed",
    "all_stopped",
)

T_co = TypeVar("T_co", covariant=True)


class FutureView(Protocol[T_co]):
    """What is to come: the interface of `concurrent.futures.Future`, which can be awaited too."""

    def done(self) -> bool:
        """Tell whether it is done."""
        ...

    def cancelled(self) -> bool:
        """Tell whether it was cancelled."""
        ...

    def cancel(self) -> bool:
        """Take it back, if that is possible still; tell whether it was."""
        ...

    def result(self, timeout: float | None = None) -> T_co:
        """Wait for the result; raises what there was to raise.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; then `TimeoutError` is raised.
        """
        ...

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return the exception, if there was one.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; then `TimeoutError` is raised.
        """
        ...

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Have ``fn`` called with the future when it is done, on whichever thread ends it.

        Parameters
        ----------
        fn : callable
            Takes the future.
        """
        ...

    def __await__(self) -> Iterator[Any]: ...

    @property
    def observed(self) -> bool:
        """Whether somebody waits for it, or has learnt how it ended."""
        ...


class PlanFutureView(FutureView[Any], Protocol):
    """What a call of an engine returns; done when the plan has ended, or is paused."""

    plan_name: str

    @property
    def outcome(self) -> FutureView[Any]:
        """The future of the plan's whole life, which pauses do not end."""
        ...

    @property
    def call(self) -> PlanCall | None:
        """What makes the plan, if it was called with that; ``None`` for a generator."""
        ...

    @property
    def status(self) -> PlanStatus:
        """Where the plan is between its call and its end."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """What the plan has failed with; ``None`` if it did not, or has not ended."""
        ...

    @property
    def elapsed(self) -> float | None:
        """Seconds from the plan's start until now or its end; ``None`` before its start."""
        ...

    @property
    def time_left(self) -> float | None:
        """Seconds until the plan's end: infinite if it has none; ``None`` if nobody knows."""
        ...

    @property
    def progress(self) -> tuple[Progress, ...]:
        """How far the plan has come; empty when it has ended."""
        ...


class EventsView(Protocol):
    """What an engine tells, as psygnal signals. A slot that raises harms nobody."""

    @property
    def state_changed(self) -> SignalInstance:
        """The new state, and the old one."""
        ...

    @property
    def plan_started(self) -> SignalInstance:
        """The future of a plan that was started."""
        ...

    @property
    def plan_ended(self) -> SignalInstance:
        """The future of a plan that has ended. Not for a pause."""
        ...

    @property
    def actions_changed(self) -> SignalInstance:
        """A frozenset of the names of the actions on offer."""
        ...

    @property
    def claims_changed(self) -> SignalInstance:
        """A mapping from the names of devices to those of their holders."""
        ...

    @property
    def background_changed(self) -> SignalInstance:
        """The task that has changed its status."""
        ...

    @property
    def progress_changed(self) -> SignalInstance:
        """A tuple of the progress of all scopes."""
        ...

    @property
    def queue_changed(self) -> SignalInstance:
        """A tuple of the futures of the calls that wait; also when the queue is held or freed."""
        ...

    @property
    def interlocks_changed(self) -> SignalInstance:
        """A tuple of `InterlockPicture`: how the interlocks stand, and who waits for them."""
        ...

    @property
    def all_stopped(self) -> SignalInstance:
        """Why everything is stopped, as `stop_all` was told: nothing is to begin by itself."""
        ...


class QueueView(Protocol):
    """The futures of the calls that wait, in the order in which they will start."""

    @overload
    def __getitem__(self, index: int, /) -> PlanFutureView: ...

    @overload
    def __getitem__(self, index: slice, /) -> tuple[PlanFutureView, ...]: ...

    def __iter__(self) -> Iterator[PlanFutureView]: ...

    def __len__(self) -> int: ...

    @property
    def held(self) -> str | None:
        """Why nothing new starts; ``None`` if it is not held."""
        ...

    @property
    def on_interruption(self) -> str:
        """What becomes of those that wait after a stop or a failure: "cancel" or "hold"."""
        ...

    @on_interruption.setter
    def on_interruption(self, value: str, /) -> None: ...

    def hold(self, reason: str = "") -> None:
        """Start nothing new until `release`; the plan that runs goes on.

        Parameters
        ----------
        reason : str, optional
            For who wonders why nothing starts.
        """
        ...

    def release(self) -> None:
        """Let the queue go on; `ServiceFailedError` while a service is missing."""
        ...

    def clear(self) -> tuple[PlanFutureView, ...]:
        """Cancel all that wait, and return them."""
        ...

    def submit(
        self,
        plan: Any,
        subs: Any = None,
        /,
        *,
        priority: float = 0,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> PlanFutureView:
        """Start a plan, or have it wait: the highest priority is next, of equals the first come.

        Parameters
        ----------
        plan : PlanCall, generator or iterable of Msg
            The plan.
        subs : callable, list or dict, optional
            Subscribers of this plan's documents alone.
        priority : int, default: 0
            The highest is next.
        name : str, optional
            What the plan is called; by default as its function.
        metadata : mapping, optional
            For its runs.
        """
        ...

    def move(self, future: Any, position: int) -> None:
        """Have a call wait elsewhere; `IndexError` or `ValueError` where that cannot be.

        Parameters
        ----------
        future : PlanFutureView
            One that waits.
        position : int
            Where it is to wait; 0 is next.
        """
        ...

    def edit(self, future: Any, call: PlanCall) -> None:
        """Have a call that waits run something else, under the same future.

        Parameters
        ----------
        future : PlanFutureView
            One that waits.
        call : PlanCall
            What it is to run.
        """
        ...

    def every(self, seconds: float, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a plan again and again, at the next safe point; the handle's `cancel` ends it.

        Parameters
        ----------
        seconds : float
            From one run to the next [s].
        function : callable
            Makes the plan.
        *args
            Its arguments.
        **kwargs
            Its arguments by name; beside a `PlanCall`, the metadata of its runs.
        """
        ...

    @property
    def periodic(self) -> tuple[Any, ...]:
        """The handles of all plans that run again and again."""
        ...

    def put_back(self, *futures: Any) -> tuple[PlanFutureView, ...]:
        """Submit plans again that have ended; by default those that were cancelled last.

        Parameters
        ----------
        *futures : iterable of PlanFutureView, optional
            The plans; by default those that were cancelled last.
        """
        ...


class BackgroundView(Protocol):
    """What runs beside the plan in the foreground."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the task that answers to a name; `KeyError` names those that there are."""
        ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    @property
    def running(self) -> tuple[Any, ...]:
        """The tasks that have not ended, in the order of their starts."""
        ...

    def launch(
        self,
        payload: Any,
        *,
        name: str | None = None,
        claims: Any = (),
        on_conflict: Literal["cancel", "pause", "error"] = "cancel",
        flavour: str | ModuleType | None = None,
        **metadata: Any,
    ) -> Any:
        """Start a task that no plan owns, and return it at once.

        Parameters
        ----------
        payload : generator, PlanCall, function, coroutine function or object with ``run``
            What is to run.
        name : str, optional
            What the task is called.
        claims : devices, optional
            What it holds from its start.
        on_conflict : str, optional
            ``"cancel"``, ``"pause"`` or ``"error"``: what happens when the foreground needs
            them.
        flavour : str, optional
            How the payload runs, such as ``"trio"``; by default as it looks.
        **metadata : mapping, optional
            For its runs.
        """
        ...

    def cancel(self, name: str, reason: str = "") -> bool:
        """Ask a task to end, with its clean-up; false if it has ended already.

        Parameters
        ----------
        name : str
            The task.
        reason : str, optional
            For the log and the stop documents.
        """
        ...


class ClaimsView(Protocol):
    """Who holds which device: a mapping from device to the name of its holder."""

    def __getitem__(self, device: Any, /) -> str:
        """Return who holds a device, its parent or a part of it; `KeyError` if nobody does."""
        ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...

    def __contains__(self, device: object, /) -> bool: ...

    def get(self, device: Any, /) -> str | None:
        """Return who holds a device, or ``None``.

        Parameters
        ----------
        device : object
            A device.
        """
        ...

    def by_name(self) -> Mapping[str, str]:
        """Return a frozen picture: names of the devices, with those of their holders."""
        ...

    def lends(self, holder: Any, device: Any, /) -> bool:
        """Tell whether a task or plan has lent a device, or a part of it, to somebody.

        Parameters
        ----------
        holder : str
            A task or plan.
        device : object
            A device.
        """
        ...

    def hold(self, device: Any, holder: str = "manual move") -> AbstractContextManager[None]:
        """Hold a device, or several, by hand; `ResourceConflictError` if a plan has one.

        Parameters
        ----------
        device : object
            The devices.
        holder : str, optional
            Who holds them, for others to read.
        """
        ...


class ByHandView(Protocol):
    """What a person moves or changes."""

    def set(
        self, device: Any, value: Any, *, between: bool = False, holder: str = "manual move"
    ) -> FutureView[Any]:
        """Set a device, which is held until it rests; `ResourceConflictError` if a plan has it.

        With ``between`` between two messages of the plan that has it, with that plan's consent.
        """
        ...

    def stop(self, device: Any) -> FutureView[None]:
        """Stop a device, whoever moves it, and give up moves by hand that wait for an interlock."""
        ...

    @property
    def holder(self) -> str:
        """What others see as the holder of what is set by hand here, if nothing else is said."""
        ...

    @property
    def moving(self) -> tuple[Any, ...]:
        """The devices that are on their way by hand."""
        ...


class EngineView(Protocol):
    """What a client sees of an engine.

    What shows or serves an engine asks for this, and not for one of our classes: it works with
    each of them, and with one in another process. Every method may be called from any thread, and
    none waits, except `close` and where an engine says of itself that its calls wait, such as
    ``BlockingRunEngine``: such an engine returns results where this says futures.
    """

    # -- running plans ------------------------------------------------------------------------

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> Any:
        """Start a plan, or a `PlanCall`; queue it while another one runs.

        Returns a `PlanFutureView` at once. What is no plan is refused with a `TypeError`.
        """
        ...

    @property
    def current(self) -> PlanFutureView | None:
        """The future of the plan in the foreground, or ``None``."""
        ...

    @property
    def queued(self) -> tuple[PlanFutureView, ...]:
        """The calls that wait for their turn, in order; `cancel` on one removes it."""
        ...

    @property
    def queue(self) -> QueueView:
        """The same calls, to be ordered, edited, held and cleared."""
        ...

    def preempt(
        self,
        plan: Any,
        *,
        restore: bool = False,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a plan in place of the one that runs, which goes on by itself afterwards.

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
        """
        ...

    # -- control ------------------------------------------------------------------------------

    def request_pause(self, defer: bool = False) -> Any:
        """Pause the plan, or with ``defer`` at its next checkpoint.

        Returns a future, done when the plan rests. `TransitionError` if there is none to pause.

        Parameters
        ----------
        defer : bool, default: False
            Whether to wait for the next checkpoint.
        """
        ...

    def resume(self) -> Any:
        """Have the paused plan go on; returns a new `PlanFutureView` with the same outcome.

        While a pause is on its way it takes effect after that; a deferred pause that has not
        taken effect is withdrawn.
        """
        ...

    def stop(self) -> Any:
        """End the plan with its clean-up, as a success; returns a future, done after that."""
        ...

    def abort(self, reason: str = "") -> Any:
        """End the plan with its clean-up, as aborted; otherwise as `stop`.

        Parameters
        ----------
        reason : str, optional
            For the stop document.
        """
        ...

    def halt(self) -> Any:
        """End the plan without its own clean-up; otherwise as `stop`. It always gets out."""
        ...

    @property
    def by_hand(self) -> ByHandView:
        """The one verb for what a person moves or changes."""
        ...

    def stop_all(self, reason: str = "") -> Any:
        """Stop every device and end everything that runs, in every state; never refused.

        Returns a future, done when all is at rest; it names what could not be stopped.

        Parameters
        ----------
        reason : str, optional
            For the stop documents, and the log.
        """
        ...

    def between_messages(self, function: Callable[[], Any]) -> FutureView[Any]:
        """Have something done between two messages of the plan that runs, with its consent.

        Parameters
        ----------
        function : callable
            Takes nothing, and may be a coroutine function. Called on the engine's loop.
        """
        ...

    # -- actions ------------------------------------------------------------------------------

    @property
    def pending_actions(self) -> Mapping[str, SRLatch]:
        """The actions that plans wait for at this moment: name to latch."""
        ...

    def trigger_action(self, name: str, *, plan: str | None = None) -> None:
        """Set the latch of an action on offer, of all plans or of one.

        `KeyError` with the names on offer otherwise.

        Parameters
        ----------
        name : str
            The action.
        plan : str, optional
            The plan that offers it; by default all that do.
        """
        ...

    def release_action(self, name: str, *, plan: str | None = None) -> None:
        """Reset the latch of an action on offer; otherwise as `trigger_action`.

        Parameters
        ----------
        name : str
            The action.
        plan : str, optional
            The plan that offers it; by default all that do.
        """
        ...

    # -- looking ------------------------------------------------------------------------------

    def explain(self) -> str:
        """Say what the engine waits for, and what may be done."""
        ...

    @property
    def preview(self) -> Callable[..., Any]:
        """What says what a plan will do, given the plan as to `freewheel.preview`."""
        ...

    def snapshot(self) -> EngineSnapshot:
        """Return a consistent picture of this moment."""
        ...

    @property
    def state(self) -> str:
        """What the engine does: an `EngineState`."""
        ...

    @property
    def events(self) -> EventsView:
        """What the engine tells."""
        ...

    @property
    def background(self) -> BackgroundView:
        """What runs beside the plan in the foreground."""
        ...

    @property
    def claims(self) -> ClaimsView:
        """Who holds which device."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that its devices live on."""
        ...

    # -- documents ----------------------------------------------------------------------------

    def subscribe(
        self,
        func: Callable[[str, Any], Any],
        name: str = "all",
        delivery: Literal["inline", "queued", "latest"] = "inline",
        runs: Literal["one", "all"] | None = None,
    ) -> int:
        """Have ``func(name, doc)`` called with documents; returns a token for `unsubscribe`.

        With ``runs="one"`` it is served one run at a time.

        Parameters
        ----------
        func : callable
            Called with name and document.
        name : str, default: "all"
            Which documents.
        delivery : str, default: "inline"
            ``"inline"``, ``"queued"`` or ``"latest"``.
        runs : str, optional
            ``"one"`` for what can take one run at a time.
        """
        ...

    def unsubscribe(self, token: int) -> None:
        """Undo a subscription.

        Parameters
        ----------
        token : int
            What `subscribe` returned.
        """
        ...

    # -- the end ------------------------------------------------------------------------------

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is another process's, and goes on when whoever looks at it leaves."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it takes no plans any more, for it was closed."""
        ...

    def close(self, timeout: float = 10) -> None:
        """Abort what runs, wait for its clean-up, ``timeout`` seconds at most, and let go.

        Parameters
        ----------
        timeout : float, default: 10
            Seconds to wait at most.
        """
        ...


# A property, or an attribute of the instance, would have to be evaluated to be found.
_METHODS = tuple(
    name for name, member in vars(EngineView).items() if callable(member) and name[0] != "_"
)


def is_engine(thing: object) -> TypeGuard[EngineView]:
    """Tell whether something can be used as an `EngineView`; quick, and runs none of its code.

    bluesky's own engine is none: its calls wait, and it has nothing to look at.
    """
    kind = type(thing)
    return callable(thing) and all(hasattr(kind, name) for name in _METHODS)
