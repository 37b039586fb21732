"""A live view: one frame after the other until somebody stops it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Unit
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from freewheel.core import Action, SRLatch, continuous
from freewheel.plan_stubs import Pacer, read_while_waiting, trigger_and_read, wait_for_actions
from freewheel.plan_stubs._around import run_wrapper, stage_wrapper

__all__ = ["SNAP", "LiveViewResult", "live_view"]

SNAP = Action(name="snap", description="Record one frame of the live view.")
"""The action that records a frame."""


@dataclass(frozen=True)
class LiveViewResult:
    """What a live view that came to its end says of itself.

    Attributes
    ----------
    frames : int
        Events of the live stream.
    snapshots : int
        Events of the snapshots' stream.
    rate : float
        Live frames per second, on average; pauses left out. 0 if there was but one.
    missed : int
        Frames that there was no time for; 0 at rates above 10,000 Hz, which are no pace.
    """

    frames: int
    snapshots: int
    rate: float
    missed: int


@continuous(pausable=True)
def live_view(
    detectors: Sequence[Readable[Any]],
    *,
    rate: Annotated[float, Gt(0), Unit("Hz")] = 30.0,
    snap: Action = SNAP,
    frames: Annotated[int, Ge(0)] = 0,
    stream: str = "live",
    snap_stream: str = "snapshot",
    at_once: bool = False,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[LiveViewResult]:
    """Trigger and read detectors at a fixed rate until the plan is stopped.

    The rate is kept: neither the time of a reading nor the lateness of a wake-up adds to the
    period, and frames that there is no time for are skipped, and counted. Each live event has
    two further keys: ``pace-rate``, frames per second over the last frames, and ``pace-missed``,
    the frames skipped so far; at a rate above 10,000 Hz, which is no pace that could be kept, none
    are counted.

    Parameters
    ----------
    detectors : sequence of Readable
        The detectors; those that can be triggered are.
    rate : float
        Frames per second.
    snap : Action
        Triggered while the plan runs, it records one frame, triggered for it, as an event of a
        second stream.
    frames : int
        Live frames after which the plan ends by itself; 0 for none.
    stream : str
        Name of the live stream.
    snap_stream : str
        Name of the snapshots' stream.
    at_once : bool
        Whether to take each live frame in one message: faster, but hooks and preprocessors do
        not see the steps, see `freewheel.plan_stubs.acquire`. With a rate above 10,000 Hz, which
        is no pace that could be kept, devices that are `freewheel.core.TriggersAhead` are
        triggered for the next frame while they expose for this one.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run.

    Returns
    -------
    LiveViewResult
        Frames, snapshots, rate and missed frames of a view that ended by itself. One that is
        stopped returns nothing: its events tell.

    Raises
    ------
    ValueError
        If the rate is not a positive finite number.
    """
    if not rate > 0:
        msg = f"the rate of a live view must be a positive number of frames a second, not {rate!r}"
        raise ValueError(msg)
    pacer = Pacer(1 / rate)
    metadata = {
        "plan_name": "live_view",
        "detectors": [detector.name for detector in detectors],
        "rate": rate,
        "hints": {},
        **(md or {}),
    }

    snapshots = 0  # the wrappers below return what is theirs

    def view() -> MsgGenerator[None]:
        nonlocal snapshots
        while not frames or pacer.turns < frames:
            changed = yield from read_while_waiting(
                [*detectors, pacer],
                snap.event_map,
                stream,
                pacer=pacer,
                turns=frames - pacer.turns if frames else None,
                at_once=at_once,
            )
            while changed is not None:
                changed = yield from _snapshot(detectors, snap, changed[1], snap_stream)
                snapshots += 1
        yield from wait_for_actions({}, timeout=0)

    yield from stage_wrapper(run_wrapper(view(), md=metadata), list(detectors))
    return LiveViewResult(pacer.turns, snapshots, pacer.rate, pacer.missed)


def _snapshot(
    detectors: Sequence[Readable[Any]], snap: Action, latch: SRLatch, stream: str
) -> MsgGenerator[tuple[str, SRLatch] | None]:
    """Record one frame; return what was triggered meanwhile."""
    latch.reset()
    # On offer again while the frame is taken.
    changed = yield from wait_for_actions(snap.event_map, timeout=0, hold=True)
    yield from trigger_and_read(detectors, stream)
    if changed is None:
        changed = yield from wait_for_actions(snap.event_map, timeout=0, hold=True)
    return changed
