"""The commands of one engine, made when they are first asked for, from the one table of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, final

from bluesky.utils import Msg

from freewheel.core._verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._core import EngineCore

__all__ = ["Command", "CommandRegistry", "Handler", "UnknownCommandError"]

Handler: TypeAlias = Callable[[Msg], Awaitable[Any]]
"""What carries out a command: a coroutine function of the message."""


class UnknownCommandError(KeyError):
    """An engine has no such command."""


class Command(NamedTuple):
    """One command: what carries it out, and how engines treat it.

    What it does to a device, and so whether it needs the device, is said by `freewheel.core.VERBS`.

    Attributes
    ----------
    name : str
        What a message asks for it by.
    make : callable or None
        Makes the handler for an engine; ``None`` where bluesky's own does. A command of bluesky's
        that a subclass of its engine has changed stays as that has it.
    repeated : bool
        Whether a rewind repeats it.
    waits : bool
        Whether it waits for something outside of the plan: a rewind does not repeat it once it was
        answered, but a resume asks it again when it was cut short. So it goes for a command that
        has done nothing yet when it is.
    of_run : bool
        Whether it is of use only while its run is open.
    refused_in_child : str
        Why a background plan may not use it; empty if it may.
    private : bool
        Whether it is the engine's own affair: neither hooks nor the log are shown it.
    """

    name: str
    make: Callable[[EngineCore], Handler] | None = None
    repeated: bool = True
    waits: bool = False
    of_run: bool = False
    refused_in_child: str = ""
    private: bool = False


#: Commands that come by the thousand and are carried out in one step, but for somebody's own: no
#: task looks meanwhile who is about to use a device. (What is acquired is held for a run.)
_NEVER_WAITS: Final = frozenset(("set", "trigger", "acquire"))


class _Checked:
    """A command that may have to make its way to the device first.

    An object, for there is one for each such command of each engine, and a closure takes ten times
    as much.
    """

    __slots__ = ("_check", "_core", "_handler", "_interlocks", "_may_wait")

    def __init__(self, core: EngineCore, handler: Handler, *, may_wait: bool) -> None:
        self._core = core
        self._check = core.claim_check
        self._interlocks = core.household.interlocks
        self._handler = handler
        self._may_wait = may_wait

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self._handler.__doc__

    def __call__(self, msg: Msg) -> Awaitable[Any]:
        interlocks = self._interlocks
        if (interlocks.is_empty or interlocks.allows(msg)) and self._check.passes(msg):
            return self._pass(msg) if self._may_wait else self._handler(msg)
        return self._make_way(msg)

    async def _pass(self, msg: Msg) -> Any:
        try:
            return await self._handler(msg)
        finally:
            self._check.passed()

    async def _make_way(self, msg: Msg) -> Any:
        await self._until_allowed(msg)  # nobody is to give way to what may not be done
        if self._check.passes(msg):
            return await self._pass(msg)
        if not await self._check.make_way(msg):
            return [] if msg.command == "unstage" else None
        try:
            await self._until_allowed(msg)  # one may have tripped while others gave way
            return await self._handler(msg)
        finally:
            self._check.finished(msg)

    async def _until_allowed(self, msg: Msg) -> None:
        """Wait for the interlocks, unless the plan has been told to end, and cleans up."""
        core, plan = self._core, self._core.under_way
        if plan.cleans_up or self._interlocks.allows(msg):
            return
        task = core.tasks.task
        who = core.plan_name if task is None else task.name
        devices = VERBS[msg.command].devices(msg)
        # Within an uninterrupted section the plan is not told before that has ended.
        wait = not plan.asked.ending
        await self._interlocks.until_allowed(msg.command, devices, who, core, wait=wait)


#: The methods of bluesky's engine that are commands, by the class of engine. Written on the loop of
#: the engine that is the first of its class; the same for all of them.
_METHODS: Final[dict[type, Mapping[str, Callable[..., Any]]]] = {}


def _methods_of(engine: Any, registry: Mapping[str, Any]) -> Mapping[str, Callable[..., Any]]:
    """Return the commands that are methods of the engine: shared by all engines of a class."""
    known = _METHODS.get(type(engine))
    if known is None:
        known = MappingProxyType({name: command.__func__ for name, command in registry.items()})
        _METHODS[type(engine)] = known
    return known


@final
class CommandRegistry(dict[str, Handler]):
    """What carries out the commands of one engine; bluesky's own registry is a dict as well.

    On the loop's thread, but for `register` and `forget`, which leave something that can be used at
    every moment.

    Parameters
    ----------
    core : EngineCore
        The engine.
    table : mapping
        All commands that freewheel knows.
    registry : mapping
        The methods that bluesky's constructor has registered.
    extra : mapping
        The commands that were registered with the engine that the user has, by name; ``None`` for
        one that was unregistered there.

    Attributes
    ----------
    unrepeated : frozenset of str
        The commands that a rewind does not repeat.
    """

    __slots__ = ("_core", "_extra", "_in_child", "_methods", "_table", "unrepeated")

    def __init__(
        self,
        core: EngineCore,
        table: Mapping[str, Command],
        registry: Mapping[str, Any],
        extra: Mapping[str, Handler | None],
        *,
        in_child: bool,
    ) -> None:
        super().__init__()
        self._core = core
        self._table = table
        self._methods = _methods_of(core.engine, registry)
        self._extra = extra
        self._in_child = in_child
        self.unrepeated = _unrepeated(table, core.engine)

    def __missing__(self, name: str) -> Handler:
        handler = self[name] = self._checked(name, self._make(name))
        return handler

    def _make(self, name: str) -> Handler:
        if name in self._extra:
            extra = self._extra[name]
            if extra is None:
                raise UnknownCommandError(name)
            return extra
        command = self._table.get(name)
        if command is not None:
            if self._in_child and command.refused_in_child:
                return _refuse(name, command.refused_in_child)
            if command.make is not None and self._may_replace(name):
                return command.make(self._core)
        if name not in self._methods:
            raise UnknownCommandError(name)
        return self.original(name)

    def _may_replace(self, name: str) -> bool:
        method = self._methods.get(name)
        return method is None or method.__module__.startswith("bluesky.")

    def original(self, name: str) -> Handler:
        """Return what bluesky's engine has for the command, or a subclass of it."""
        # Looked up again, for somebody may have put another one on this very engine.
        handler: Handler = getattr(self._core.engine, self._methods[name].__name__)
        return handler

    def _checked(self, name: str, handler: Handler) -> Handler:
        verb = VERBS.get(name)
        if verb is None or not verb.needs:
            return handler
        own = name in self._extra or not self._may_replace(name)
        may_wait = own or name not in _NEVER_WAITS
        return _Checked(self._core, handler, may_wait=may_wait)

    def make_all(self) -> None:
        """Make every command now, for an engine whose registry is looked at as a dict."""
        for name in self.names():
            self[name]

    def register(self, name: str, handler: Handler, extra: Mapping[str, Handler | None]) -> None:
        """Have ``handler`` carry out ``name``; ``extra`` says so from now on. From any thread."""
        self._extra = extra
        self[name] = self._checked(name, handler)

    def forget(self, name: str, extra: Mapping[str, Handler | None]) -> None:
        """Have no such command; ``extra`` says so from now on. From any thread.

        Raises
        ------
        KeyError
            If there is none.
        """
        del self[name]
        self._extra = extra

    def names(self) -> list[str]:
        """Return the names of all commands."""
        known: Iterable[str] = dict.fromkeys([*self._methods, *self._table, *self._extra, *self])
        return [name for name in known if self._extra.get(name, True) is not None]

    def waits(self, name: str) -> bool:
        """Tell whether a command waits for something outside of the plan."""
        command = self._table.get(name)
        return command is not None and command.waits

    def is_private(self, name: str) -> bool:
        """Tell whether a command is the engine's own affair, which nobody is shown."""
        command = self._table.get(name)
        return command is not None and command.private

    def is_of_run(self, name: str) -> bool:
        """Tell whether a command is of use only while its run is open."""
        command = self._table.get(name)
        return command is not None and command.of_run


_UNREPEATED: Final[dict[type, frozenset[str]]] = {}  # as _METHODS


def _unrepeated(table: Mapping[str, Command], engine: Any) -> frozenset[str]:
    """Return what is not repeated: as bluesky's class says, or a subclass of it, and the table."""
    known = _UNREPEATED.get(type(engine))
    if known is None:
        ours = {name for name, command in table.items() if not command.repeated or command.waits}
        known = _UNREPEATED[type(engine)] = frozenset({*ours, *engine._UNCACHEABLE_COMMANDS})
    return known


def _refuse(command: str, reason: str) -> Handler:
    async def refused(msg: Msg) -> None:
        raise RuntimeError(reason)

    refused.__doc__ = f"Refuse ``{command}``: {reason}"
    return refused
