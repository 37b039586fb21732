"""A client as the server sees it, over all connections that it has one after the other."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

from freewheel.core._pictures import WaitingPictures

if TYPE_CHECKING:
    from freewheel.background import HandHold

    from ._tokens import Client

__all__ = ["FrameWish", "Item", "Lease", "Session"]

_tags: Final = itertools.count(1)  # drawn from on a server's loop
#: Answers that are kept for calls that may be sent again.
_ANSWERS: Final = 500


class Item:
    """A message that waits to be sent, or to be told that it was seen."""

    __slots__ = ("data", "number", "slim", "stream")

    def __init__(self, number: int, data: bytes, stream: str = "", slim: bytes = b"") -> None:
        self.number = number
        self.data = data
        self.stream = stream  # of an event that a newer one may replace
        self.slim = slim  # what stays of it then


class Lease:
    """Devices that a client holds.

    Attributes
    ----------
    key : str
        What the client names it by.
    hand : HandHold
        The holder, as the claims know it.
    devices : tuple
        The devices.
    """

    def __init__(self, key: str, hand: HandHold, devices: tuple[Any, ...]) -> None:
        self.key = key
        self.hand = hand
        self.devices = devices


class FrameWish:
    """What frames a client wants: the newest of a key, no larger and no more often than this."""

    def __init__(self, key: str | None, max_side: int, rate: float) -> None:
        self.key = key
        self.max_side = max_side
        self.period = 1 / rate
        self.sent: dict[str, int] = {}  # by data key, the number of the last one
        self.due: dict[str, float] = {}  # and when the next one may be sent


class Session:
    """What the server keeps of a client. On the server's loop alone.

    Parameters
    ----------
    client : Client
        Who it is.
    limit : int
        How many bytes may wait for it.
    """

    def __init__(self, client: Client, limit: int) -> None:
        self.id = secrets.token_urlsafe(18)
        self.tag = f"c{next(_tags)}-"
        self.client = client
        self.limit = limit
        self.program = ""
        self.documents: str | None = None  # "queued", "display", "latest", or none
        self.frames: FrameWish | None = None
        self.leases: dict[str, Lease] = {}
        self.lease_end: asyncio.TimerHandle | None = None
        self.end: asyncio.TimerHandle | None = None
        self.connection: Any = None  # the one that serves it now
        self.ready = asyncio.Event()  # there is something to send
        self.dropped = ""  # why it was given up
        # The answers of its calls, by number; ``None`` while a call is under way.
        self.answers: OrderedDict[int, bytes | None] = OrderedDict()
        self.sent_frames = 0
        self._waiting: deque[Item] = deque()
        self._kept: deque[Item] = deque()  # sent, and not yet seen as far as is known
        self._newest: WaitingPictures[Item] = WaitingPictures()  # what may be replaced
        self._last: dict[str, Item] = {}  # by stream, which of these was sent last
        self._bytes = 0

    # -- what is to be sent -------------------------------------------------------------------

    def put(self, number: int, data: bytes) -> bool:
        """Have a numbered message sent; return false if too much waits for the client."""
        self._waiting.append(Item(number, data))
        self._bytes += len(data)
        self.ready.set()
        return self._bytes <= self.limit

    def put_newest(self, number: int, data: bytes, stream: str, slim: bytes = b"") -> bool:
        """Have a message sent in place of an older one of its stream, if that still waits.

        What is slim of the older one stays in its place, and the newer one comes last.
        """
        waiting = self._newest.newest(stream)
        if waiting is not None and not waiting.slim and not slim:
            self._bytes -= len(waiting.data)
            waiting.data = data
        else:
            if (older := self._newest.overtake(stream)) is not None:
                self._make_slim(older)
                older.stream = ""
            item = Item(number, data, stream, slim)
            self._newest.put(stream, item)
            self._waiting.append(item)
        self._bytes += len(data)
        self.ready.set()
        return self._bytes <= self.limit

    def _make_slim(self, item: Item) -> None:
        self._bytes += len(item.slim) - len(item.data)
        item.data = item.slim

    def put_answer(self, data: bytes) -> bool:
        """Have an answer sent, after what was told before it: who asks sees what he has done."""
        if self.connection is not None:  # else it is asked for again
            self._waiting.append(Item(0, data))
            self._bytes += len(data)
            self.ready.set()
        return self._bytes <= self.limit

    def next(self) -> bytes | None:
        """Return the next message to send, or ``None``."""
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        if item.stream:
            self._newest.taken(item.stream, item)
            if (older := self._last.get(item.stream)) is not None:
                self._make_slim(older)  # nobody needs more of it again
            self._last[item.stream] = item
        self._kept.append(item)
        return item.data

    def seen(self, number: int) -> None:
        """Forget what the client has seen."""
        while self._kept and self._kept[0].number <= number:
            item = self._kept.popleft()
            self._bytes -= len(item.data)
            if self._last.get(item.stream) is item:
                del self._last[item.stream]

    def rewind(self, seen: int) -> None:
        """Send again what the client has not seen."""
        self.seen(seen)
        self._waiting.extendleft(item for item in reversed(self._kept) if item.data)
        self._kept.clear()
        self._last.clear()
        self.ready.set()

    @property
    def backlog(self) -> int:
        """How many bytes wait for the client, or to be seen by it."""
        return self._bytes

    # -- calls --------------------------------------------------------------------------------

    def begin(self, number: int) -> bool:
        """Note that a call is under way; return false for one that had come before."""
        if number in self.answers:
            return False
        self.answers[number] = None
        while len(self.answers) > _ANSWERS:
            self.answers.popitem(last=False)
        return True

    # -- frames -------------------------------------------------------------------------------

    def frames_due(self, newest: dict[str, int]) -> tuple[list[str], float | None]:
        """Return the keys of the frames to send now, and in how many seconds there are others.

        Parameters
        ----------
        newest : dict
            The number of the newest frame of each key.
        """
        wish = self.frames
        if wish is None:
            return [], None
        now, keys, wait = time.monotonic(), [], None
        for key, number in newest.items():
            if (wish.key is not None and key != wish.key) or wish.sent.get(key) == number:
                continue
            left = wish.due.get(key, 0.0) - now
            if left <= 0:
                keys.append(key)
            else:
                wait = left if wait is None else min(wait, left)
        return keys, wait

    def frame_sent(self, key: str, number: int) -> None:
        """Note that a frame is on its way: the next one is due after a period of the schedule."""
        wish = self.frames
        if wish is not None:
            now = time.monotonic()
            due = wish.due.get(key, 0.0) + wish.period
            wish.due[key] = due if due > now - wish.period else now + wish.period
            wish.sent[key] = number
            self.sent_frames += 1
