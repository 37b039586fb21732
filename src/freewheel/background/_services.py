"""Services: what runs for as long as the engine does."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar, final, overload

from freewheel.core import ServiceFailedError
from freewheel.core._errors import text_of

from ._task import BackgroundTask, TaskStatus

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

    from ._background import Background
    from ._life import Life

__all__ = ["ServiceKeeper", "service"]

_log = logging.getLogger("freewheel")
_Class = TypeVar("_Class", bound=type)

_lock = threading.Lock()
# With _lock held: the instances of marked classes, with their flavours; those that an engine has
# adopted are marked with that engine's keeper for as long as it is open.
_marked: list[tuple[weakref.ref[Any], str | types.ModuleType | None]] = []
_adopters: weakref.WeakKeyDictionary[ServiceKeeper, list[weakref.ref[Any]]]


@overload
def service(cls: _Class, /) -> _Class: ...


@overload
def service(*, flavour: str | types.ModuleType | None = None) -> Callable[[_Class], _Class]: ...


def service(cls: Any = None, /, *, flavour: str | types.ModuleType | None = None) -> Any:
    """Mark a class whose instances are services: their ``run`` is adopted when an engine starts.

    An instance that exists when an engine is made is adopted by that engine, unless another
    engine has it and is still open. One that is made later waits for the next engine;
    ``RE.adopt(instance.run)`` adopts it at once.

    Parameters
    ----------
    cls : type, optional
        The class, where it stands as a bare ``@service``.
    flavour : str or module, optional
        How ``run`` runs: ``"asyncio"``, ``"threading"`` or ``"trio"``; by default what it looks
        like.

    Returns
    -------
    type or callable
        The class, which stays as it is otherwise; without one, the decorator. Instances must allow
        weak references.

    Raises
    ------
    TypeError
        For a class without a method ``run``.
    """

    def mark(cls: _Class) -> _Class:
        if not inspect.isclass(cls) or not callable(getattr(cls, "run", None)):
            raise TypeError(f"@service marks a class with a method `run`, not {cls!r}")
        init = cls.__init__

        @functools.wraps(init)
        def init_and_register(self: object, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)
            with _lock:
                _marked[:] = [known for known in _marked if known[0]() is not None]
                if not any(known[0]() is self for known in _marked):
                    _marked.append((weakref.ref(self), flavour))

        cls.__init__ = init_and_register  # type: ignore[method-assign]
        return cls

    return mark if cls is None else mark(cls)


@final
class ServiceKeeper:
    """The services of one engine.

    Parameters
    ----------
    background : Background
        The engine's.
    failed : callable
        Called on the loop's thread with the error when a service has ended.
    """

    def __init__(
        self, background: Background, failed: Callable[[ServiceFailedError], None]
    ) -> None:
        self._background = background
        self._failed = failed
        # No code of others is called with it held, such as the `==` of a payload.
        self._lock = threading.Lock()
        # With _lock held: the services that run; and those that have ended: payload, name, error.
        self._running: list[tuple[Any, Life]] = []
        self._failures: list[tuple[Any, str, ServiceFailedError]] = []
        #: Whether there are any; written with the lock held, read without.
        self.any_failed = False
        self._closing = False

    def check(self) -> None:
        """Refuse to go on while a service is missing; from any thread.

        Raises
        ------
        ServiceFailedError
            If a service has ended and was not adopted again.
        """
        with self._lock:
            failures = list(self._failures)
        if failures:
            error = ServiceFailedError(str(failures[0][2]))
            raise error from failures[0][2].__cause__

    @property
    def obstacle(self) -> str:
        """Why plans are refused, and what mends it; empty if they are not. From any thread."""
        with self._lock:
            return str(self._failures[0][2]) if self._failures else ""

    def adopt(
        self,
        payload: Any,
        *args: Any,
        flavour: str | types.ModuleType | None = None,
        **kwargs: Any,
    ) -> BackgroundTask:
        """Run a service for as long as the engine lives; from any thread, without waiting.

        If it returns or raises, everything is ended as by ``RE.stop_all``, and further plans are
        refused with `ServiceFailedError` until it is adopted again: the same payload, or one of
        its name.

        Parameters
        ----------
        payload : coroutine function or function
            The service. A function with a parameter ``context`` gets a `TaskContext`, through
            which it hears that the engine is being closed.
        *args, **kwargs
            What to call it with.
        flavour : str or module, optional
            As for `Background.launch`.

        Returns
        -------
        BackgroundTask
            The service. To cancel it is to release it, which is no failure.

        Raises
        ------
        TypeError
            For a payload that is neither a coroutine function nor a function.
        RuntimeError
            While the engine is being closed.
        """
        examined = self._background.examine(payload, flavour, args, kwargs)
        if examined.claims:
            raise TypeError(
                f"{examined.name!r} cannot be a service, for a service holds no devices; start it "
                "with RE.background.launch(...)"
            )
        if examined.flavour == "plan":
            raise TypeError(
                f"the plan {examined.name!r} cannot be a service, for plans end; run it with "
                "RE.background.launch(...)"
            )
        life = self._background.make_service(examined, self)
        mended = [
            failure
            for failure in tuple(self._failures)
            if failure[1] == examined.name or _same(failure[0], payload)
        ]
        with self._lock:
            if self._closing:
                raise RuntimeError(
                    f"the engine is being closed: it cannot adopt {examined.name!r} any more"
                )
            self._failures = [f for f in self._failures if not any(f is m for m in mended)]
            self.any_failed = bool(self._failures)
            self._running.append((payload, life))
        self._background.spawner.call(life.start)
        return life.task

    def execute(
        self,
        payload: Any,
        *args: Any,
        flavour: str | types.ModuleType | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run something to its end and return its value; blocks the caller.

        Parameters
        ----------
        payload : plan, coroutine function or function
            What to run.
        *args, **kwargs
            What to call a function with.
        flavour : str or module, optional
            As for `Background.launch`.

        Returns
        -------
        object
            What it returned.

        Raises
        ------
        Exception
            What it raised.
        RuntimeError
            On the engine's own thread, which cannot wait for itself.
        """
        return self._background.execute(self._background.examine(payload, flavour, args, kwargs))

    def adopt_marked(self) -> None:
        """Adopt the instances of classes marked with `service` that no open engine has."""
        with _lock:
            taken = [ref() for refs in _adopters.values() for ref in refs]
            free = [
                (instance, flavour)
                for ref, flavour in _marked
                if (instance := ref()) is not None and not any(instance is t for t in taken)
            ]
            if free:
                refs = [weakref.ref(instance) for instance, _ in free]
                _adopters.setdefault(self, []).extend(refs)
        for instance, flavour in free:
            self.adopt(instance.run, flavour=flavour)

    # -- as the owner of a life ---------------------------------------------------------------

    def ended(self, life: Life) -> None:
        """Hear that a service has ended, which is a failure unless it was asked to."""
        error = _failure_of(life)
        with self._lock:
            payload = next((p for p, known in self._running if known is life), None)
            self._running = [entry for entry in self._running if entry[1] is not life]
            task = life.task
            if self._closing or task.status is TaskStatus.CANCELLED:
                return
            self._failures.append((payload, task.name, error))
            self.any_failed = True
        life.future.mark_observed()
        _log.error("%s", error, exc_info=error.__cause__)
        self._failed(error)

    def run_opened(self, uid: str) -> None:
        """Do nothing: a service is no plan, and opens no runs."""

    def lives(self) -> tuple[Life, ...]:
        """Return the services that run."""
        with self._lock:
            return tuple(life for _, life in self._running)

    def begin_close(self) -> None:
        """Let go of all services: their ends are no failures from now on."""
        with self._lock:
            self._closing = True
        with _lock:
            _adopters.pop(self, None)


_adopters = weakref.WeakKeyDictionary()


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # a payload that does not compare
        return one is other


def _failure_of(life: Life) -> ServiceFailedError:
    name = life.task.name
    raised = life.error
    if raised is None:
        what = f"returned {life.value!r}"
    else:
        what = f"raised {type(raised).__name__}: {text_of(raised)}"
    error = ServiceFailedError(
        f"the service {name!r} {what}; it must run for as long as the engine does. No plan is "
        "run until it is adopted again, with RE.adopt(...)."
    )
    error.__cause__ = raised
    return error
