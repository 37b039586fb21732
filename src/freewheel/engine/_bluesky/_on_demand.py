"""Commands that are bound to their engine when a message first asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CommandsOnDemand"]

#: The methods that are commands, by the class of engine: shared by all engines of a class.
_METHODS: dict[type, Mapping[str, Callable[..., Any]]] = {}


class CommandsOnDemand(dict[str, Any]):
    """A registry of commands in which the engine's own methods take no room until they are used.

    There may be hundreds of child engines, each with forty commands of which it uses five.
    All on the thread of the engine's loop.

    Parameters
    ----------
    engine : object
        The engine. Its ``make_command`` is given a name and its function, and returns the command.
    commands : mapping
        All of its commands, as bluesky's constructor and others have registered them.
    """

    __slots__ = ("_engine", "_methods")

    def __init__(self, engine: Any, commands: Mapping[str, Any]) -> None:
        methods = {
            name: command.__func__
            for name, command in commands.items()
            if getattr(command, "__self__", None) is engine
        }
        super().__init__(
            (name, command) for name, command in commands.items() if name not in methods
        )
        self._engine = engine
        shared = _METHODS.setdefault(type(engine), methods)
        self._methods = shared if shared == methods else methods

    def __missing__(self, name: str) -> Any:
        command = self[name] = self._engine.make_command(name, self._methods[name])
        return command

    def names(self) -> set[str]:
        """Return the names of all commands."""
        return self.keys() | self._methods.keys()

    def forget(self, name: str) -> None:
        """Have no such command."""
        self.pop(name, None)
        self._methods = {known: func for known, func in self._methods.items() if known != name}
