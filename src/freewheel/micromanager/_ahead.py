"""Frames that were asked for while the one before was taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AheadFrame", "AheadFrames"]


@final
class AheadFrame:
    """One that was asked for ahead.

    Attributes
    ----------
    begun : bool
        Whether it is being exposed, or was; set by the lane's thread, in one step.
    """

    __slots__ = ("_frames", "_turn", "begun", "over")

    def __init__(self, frames: AheadFrames, turn: int) -> None:
        self._frames = frames
        self._turn = turn
        self.begun = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def when_read(self, settle: Callable[[], object]) -> None:
        """Call a function when the frame before was read; at once if it was."""
        self._frames.came(self, self._turn, settle)


@final
class AheadFrames:
    """Keeps frames that were asked for ahead until the one before each was read. On the loop.

    Or else a loop that was held up for as long as an exposure would read one frame twice, and miss
    another.
    """

    def __init__(self) -> None:
        self._pending: set[AheadFrame] = set()
        self._held: list[Callable[[], object]] = []
        self._unread = False  # the frame that is shown
        self._turn = 0  # grows with each trigger that waits for no reading

    def shown(self) -> None:
        """Take note that another frame is shown."""
        self._unread = True

    def read(self) -> None:
        """Take note that it was read, and show the one that has come meanwhile."""
        self._unread = False
        if self._held:
            self._held.pop(0)()

    def ask(self) -> AheadFrame:
        """Return one more."""
        frame = AheadFrame(self, self._turn)
        self._pending.add(frame)
        return frame

    def anew(self) -> None:
        """Have what was asked for so far wait for no reading: nobody may want it any more."""
        self._turn += 1
        held, self._held = self._held, []
        for settle in held:
            settle()

    async def over(self) -> None:
        """Wait for the exposures that have begun: nobody holds the camera after that."""
        begun = [frame.over for frame in self._pending if frame.begun]
        if begun:
            await asyncio.wait(begun)

    def came(self, frame: AheadFrame, turn: int, settle: Callable[[], object]) -> None:
        """Take an answer: call the function when it may be shown."""
        self._pending.discard(frame)
        frame.over.set_result(None)
        if turn == self._turn and self._unread:
            self._held.append(settle)
        else:
            settle()
