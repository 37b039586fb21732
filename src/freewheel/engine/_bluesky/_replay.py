"""What a plan did since its last checkpoint, and its repetition after a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from bluesky.utils import Msg

__all__ = ["Replay"]


@final
class Replay:
    """The messages since a plan's last checkpoint. All of it on the engine's loop.

    Attributes
    ----------
    messages : list of Msg or None
        Those that a rewind repeats; ``None`` for a plan that has cleared its checkpoint and can
        be neither paused nor suspended.
    """

    __slots__ = ("_cut_short", "_warned", "messages")

    def __init__(self) -> None:
        # A list, for it only grows: an empty one has a tenth of the memory of a deque.
        self.messages: list[Msg] | None = []
        # The message that a request cut short, and the place that its answer will have.
        self._cut_short: tuple[Msg, int] | None = None
        self._warned = False  # that the plan takes no checkpoints

    @property
    def possible(self) -> bool:
        """Whether the plan can be rewound."""
        return self.messages is not None

    def give_up(self) -> None:
        """Have the plan never be rewound, until it takes a checkpoint in bluesky's sense: never."""
        self.messages = None

    def over(self) -> None:
        """Forget everything: the plan that sent the messages has completed."""
        self.messages = []

    def note_cut_short(self, msg: Msg, place: int) -> None:
        """Note that ``msg`` was cut short, whose answer has ``place`` among the answers."""
        self._cut_short = msg, place

    def keep(self, wanted: Callable[[Msg], bool]) -> None:
        """Repeat of the messages only those that are still wanted."""
        if self.messages:
            self.messages = [msg for msg in self.messages if wanted(msg)]

    def bound(self) -> bool:
        """Forget all but the newest message; tell whether it is the first time."""
        assert self.messages
        self.messages = [self.messages[-1]]
        first, self._warned = not self._warned, True
        return first

    def rewind(
        self, runs: Iterable[Any], waits: Callable[[str], bool], answers: list[Any]
    ) -> Generator[Msg, Any, None]:
        """Return a plan of the messages to be repeated, and begin anew.

        The message that was cut short is the last of them. One that waits for something outside
        is not repeated once it was answered, but is asked again if it was cut short.

        Parameters
        ----------
        runs : iterable of RunBundler
            The open runs, which are rewound too if anything is repeated.
        waits : callable
            Tells of a command whether it waits for something outside.
        answers : list
            Of the plan's stack: the answer of the message that was cut short goes there.
        """
        messages, self.messages = list(self.messages or ()), []
        if messages:
            for run in runs:
                run.rewind()
        cut_short, self._cut_short = self._cut_short, None
        slot = None
        if cut_short is not None:
            msg, place = cut_short
            if waits(msg.command):
                messages.append(msg)
                slot = place
            elif messages and messages[-1] is msg:
                slot = place
        return _repeat(messages, answers, slot)


def _repeat(messages: list[Msg], answers: list[Any], slot: int | None) -> Generator[Msg, Any, None]:
    response = None
    for msg in messages:
        response = yield msg
    if slot is not None:
        answers[slot] = response
