"""What the background needs of an engine that runs one plan for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["ChildEngine", "How", "Outcome"]

How: TypeAlias = Literal["stop", "abort", "halt"]
"""How a plan is ended: as a success, as aborted, or without its own clean-up."""


class Outcome(NamedTuple):
    """How a plan ended on a child engine.

    Attributes
    ----------
    value : object
        What the plan returned.
    error : BaseException or None
        What it failed with.
    interrupted : bool
        Whether it ended because that was asked for.
    """

    value: Any = None
    error: BaseException | None = None
    interrupted: bool = False


class ChildEngine(Protocol):
    """An engine for one plan at a time, on a loop that runs. All on that loop's thread."""

    def is_current(self) -> bool:
        """Tell whether it may be used again; else it is thrown away."""
        ...

    @property
    def waits_for(self) -> str:
        """Which devices the plan waits for, in words; from any thread."""
        ...

    def run(self, plan: Any, task: Any, metadata: dict[str, Any]) -> Awaitable[Outcome]:
        """Begin ``plan`` for ``task``, which holds its claims; done after the clean-up."""
        ...

    async def pause(self) -> bool:
        """Pause, and return whether the plan is paused now; it may have ended instead."""
        ...

    def resume(self) -> None:
        """Have a paused plan go on."""
        ...

    def end(self, how: How, reason: str) -> None:
        """Ask for the end of the plan; does nothing when it has ended."""
        ...

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Suspend the plan until what ``until`` returns is done."""
        ...

    async def give_way(self, device: Any) -> None:
        """Unstage the paused plan's devices that overlap with ``device``, and leave them alone."""
        ...

    async def take_back(self) -> None:
        """Stage again what `give_way` has unstaged."""
        ...

    def fail(self, error: BaseException) -> None:
        """Throw ``error`` into the plan at its next message."""
        ...
