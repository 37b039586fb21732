"""What the parts of an engine elsewhere need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from freewheel.core import EngineFuture, EngineSnapshot

    from ._devices import RemoteDevices
    from ._futures import RemotePlanFuture
    from ._mirror import Mirror

__all__ = ["Remote"]


class Remote(Protocol):
    """An engine elsewhere, as its parts know it."""

    mirror: Mirror
    devices: RemoteDevices

    @property
    def name(self) -> str:
        """Who we are there."""
        ...

    @property
    def queued(self) -> tuple[RemotePlanFuture, ...]:
        """The calls that wait."""
        ...

    def snapshot(self) -> EngineSnapshot:
        """Return the last picture."""
        ...

    def ask(self, verb: str, **args: Any) -> Any:
        """Ask the server, and wait a little."""
        ...

    def begin(self, what: str, verb: str, **args: Any) -> EngineFuture[Any]:
        """Ask for something that takes its time."""
        ...

    def submit(self, verb: str, plan: Any, subs: Any = None, **args: Any) -> RemotePlanFuture:
        """Ask for a plan to be run."""
        ...

    def named(self, plan: Any) -> dict[str, Any]:
        """Return a plan as it is asked for."""
        ...

    def let_go(self, lease: str) -> None:
        """End a lease."""
        ...
