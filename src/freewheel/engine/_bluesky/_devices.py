"""The devices that a plan has to do with, and those that it has lent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, final

from bluesky.bundlers import maybe_await
from bluesky.protocols import Pausable, Stageable
from bluesky.run_engine import NoReplayAllowed

from freewheel.core._crossings import completion
from freewheel.core._devices import safe_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["PlanDevices"]


class _Laid(NamedTuple):
    """The devices of a plan that is parked. Written on the loop's thread; copied by others."""

    seen: set[Any]
    moved: set[Any]
    staged: set[Any]
    given_up: list[tuple[Any, bool, bool]]
    staged_again: Counter[Any]


@final
class PlanDevices:
    """The devices of one engine's plan. All on the loop's thread.

    Parameters
    ----------
    engine : bluesky.run_engine.RunEngine
        bluesky's engine, which keeps them.
    at : callable
        See `EngineCore.at`.

    Attributes
    ----------
    seen : set
        What messages were about, told of pauses.
    moved : set
        What was set, and is stopped in a pause and at the end.
    staged : set
        What was staged, and not yet unstaged.
    staged_again : collections.Counter
        How often each was staged again, after it had been lent: what writes files has begun a new
        one then.
    """

    __slots__ = ("_at", "_given_up", "moved", "seen", "staged", "staged_again")

    def __init__(self, engine: Any, at: Callable[[str], AbstractContextManager[None]]) -> None:
        # bluesky's own commands keep them, in these very sets.
        self.seen: set[Any] = engine._objs_seen
        self.moved: set[Any] = engine._movable_objs_touched
        self.staged: set[Any] = engine._staged
        self._at = at
        # What was unstaged, and no longer to be stopped, for somebody who needs it while this plan
        # is paused: device, whether it was staged, whether it was moved.
        self._given_up: list[tuple[Any, bool, bool]] = []
        self.staged_again: Counter[Any] = Counter()

    def forget(self) -> None:
        """Forget the devices of a plan that has ended."""
        self.seen.clear()
        self.moved.clear()
        self.staged.clear()
        self._given_up.clear()
        self.staged_again.clear()

    # -- of a plan that is parked -------------------------------------------------------------

    def lay_aside(self) -> _Laid:
        """Hand out what is kept for the plan; see `Aside`."""
        laid = _Laid(
            set(self.seen),
            set(self.moved),
            set(self.staged),
            list(self._given_up),
            Counter(self.staged_again),
        )
        self.forget()
        return laid

    def take_up(self, laid: _Laid) -> None:
        """Keep again what belongs to a plan that was parked."""
        self.forget()
        self.seen |= laid.seen
        self.moved |= laid.moved
        self.staged |= laid.staged
        self._given_up += laid.given_up
        self.staged_again += laid.staged_again

    async def unstage_for_another(self, laid: _Laid, overlaps: Callable[[Any], bool]) -> None:
        """Unstage what a parked plan has staged, and another is to stage; it is staged again."""
        for device in [device for device in laid.staged if overlaps(device)]:
            laid.staged.discard(device)
            laid.given_up.append((device, True, False))
            with self._at(f"unstage {safe_name(device)}, which a parked plan has staged"):
                await completion(device.unstage())

    async def pause(self, take_checkpoint: Callable[[], None]) -> None:
        """Tell the devices of a pause, or of a suspension.

        Parameters
        ----------
        take_checkpoint : callable
            Called for a device that does not allow what was done until now to be repeated.
        """
        for device in list(self.seen):
            if isinstance(device, Pausable):
                try:
                    with self._at(f"pause {safe_name(device)}"):
                        await maybe_await(device.pause())
                except NoReplayAllowed:
                    take_checkpoint()

    async def resume(self) -> None:
        """Tell the devices that the plan goes on."""
        for device in list(self.seen):
            if isinstance(device, Pausable):
                with self._at(f"resume {safe_name(device)}"):
                    await maybe_await(device.resume())

    async def give_up(self, overlaps: Callable[[Any], bool]) -> None:
        """Unstage the paused plan's devices that ``overlaps`` picks, and leave them alone."""
        for device in {*self.staged, *self.moved}:
            if not overlaps(device):
                continue
            staged, moved = device in self.staged, device in self.moved
            self._given_up.append((device, staged, moved))
            self.staged.discard(device)
            self.moved.discard(device)
            if staged and isinstance(device, Stageable):
                with self._at(f"unstage {safe_name(device)} for somebody else"):
                    await completion(device.unstage())

    def has_given_up(self, device: Any) -> bool:
        """Tell whether ``device`` was unstaged for somebody else, and not staged again."""
        return any(given is device for given, _, _ in self._given_up)

    async def take_back(self) -> None:
        """Stage again what `give_up` unstaged."""
        while self._given_up:
            device, staged, moved = self._given_up.pop(0)
            if moved:
                self.moved.add(device)
            if staged:
                self.staged.add(device)
                self.staged_again[device] += 1
                with self._at(f"stage {safe_name(device)} again"):
                    await completion(device.stage())
