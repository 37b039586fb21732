"""What an engine shares with the engines of its background plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ._touched import Touched

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Awaitable, Callable, Mapping

    from bluesky.utils import Msg

    from freewheel.background import Background

    from ._action_board import ActionBoard
    from ._documents import DocumentStream
    from ._interlocks import Interlocks
    from ._progress_board import ProgressBoard

__all__ = ["Household"]

MAX_CACHED_MESSAGES: Final = 50_000


@dataclass(eq=False)
class Household:
    """What an engine and its children have in common: a child needs no more of its parent.

    bluesky's attributes of these names are kept here (`SharedAttribute`), so that a child has at
    once what a user changes on the engine. They are replaced as a whole, by any thread, and read
    on the loop.

    Attributes
    ----------
    loop : asyncio.AbstractEventLoop
        The loop that all of them run on.
    thread : threading.Thread
        The thread that runs it.
    documents : DocumentStream
        Where their documents go.
    board : ActionBoard
        The actions that their plans offer.
    progress : ProgressBoard
        How far their plans have come.
    md, md_validator, md_normalizer, scan_id_source, preprocessors, record_interruptions
        As bluesky has them. A background plan goes through those preprocessors alone that have an
        attribute ``in_background``, and through the baseline of bluesky's ``SupplementalData``.
    max_cached_messages : int
        Messages that are kept for a rewind, at most, where a plan takes no checkpoints.
    commands : mapping
        The commands that were registered by hand; ``None`` for those that were unregistered.
        Replaced as a whole: a child is of use for as long as they are those that it began with.
    touched : Touched
        The devices that plans and people have touched.
    interlocks : Interlocks
        What keeps messages waiting.
    stops_of_all : int
        How often everything was stopped. Counted by any thread; read on the loop.
    took : callable or None
        Called with a device, a command and the seconds that it took, by engines made afterwards.
    suspenders : callable
        Returns the suspenders of the engine, for which every plan waits before it begins.
    background : Background
        Their tasks. These two are set once, before the first plan begins.
    """

    #: The attributes that bluesky's constructor sets.
    bluesky_names: ClassVar = (
        "md",
        "md_normalizer",
        "md_validator",
        "preprocessors",
        "record_interruptions",
        "scan_id_source",
    )

    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    documents: DocumentStream
    board: ActionBoard
    progress: ProgressBoard
    interlocks: Interlocks
    md: Any = None
    md_validator: Callable[[Any], Any] | None = None
    md_normalizer: Callable[[Any], Any] | None = None
    scan_id_source: Callable[[Any], Any] | None = None
    preprocessors: list[Callable[[Any], Any]] = field(default_factory=list)
    record_interruptions: bool = False
    max_cached_messages: int = MAX_CACHED_MESSAGES
    commands: Mapping[str, Callable[[Msg], Awaitable[Any]] | None] = field(
        default_factory=lambda: MappingProxyType({})
    )
    touched: Touched = field(default_factory=Touched)
    stops_of_all: int = 0
    took: Callable[[Any, str, float], None] | None = None
    suspenders: Callable[[], tuple[Any, ...]] = field(init=False)
    background: Background = field(init=False)
