"""What an engine waits for, in words: for who wonders why nothing happens."""

from __future__ import annotations

import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import EngineState
from freewheel.core._devices import device_name, is_device_instance
from freewheel.core._wording import names_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel.core import EngineSnapshot

    from ._bluesky import EngineCore

__all__ = ["explain", "waits_for"]

#: Seconds that the engine's loop may take to answer before it counts as blocked.
ANSWER: Final = 0.2
#: So many lines of a stack are shown.
LINES: Final = 4

_REMEDIES: Final = {
    EngineState.RUNNING: "RE.request_pause() pauses it, RE.stop() ends it with its clean-up.",
    EngineState.SUSPENDING: "It goes on when its suspender lets go; RE.stop() ends it.",
    EngineState.PAUSING: "RE.stop() or RE.halt() end it; RE.resume() has it go on when it rests.",
    EngineState.PAUSED: "RE.resume() has it go on; RE.stop(), RE.abort() or RE.halt() end it.",
    EngineState.STOPPING: "It cleans up. RE.halt() ends it without its own clean-up.",
    EngineState.ABORTING: "It cleans up. RE.halt() ends it without its own clean-up.",
    EngineState.HALTING: "RE.halt() once more cuts short a device that hangs.",
    EngineState.PANICKED: "It cannot be recovered: start the process again.",
}


def explain(core: EngineCore, picture: EngineSnapshot, obstacle: str) -> str:
    """Return what the engine does and waits for; from any thread.

    Parameters
    ----------
    picture : EngineSnapshot
        How it stands.
    obstacle : str
        What keeps plans from being started, with the command that mends it; or empty.
    """
    lines = [*_plan(core, picture)]
    if picture.parked:
        names = ", ".join(map(repr, reversed(picture.parked)))
        lines.append(f"Parked, to go on by itself when it has ended: {names}.")
    if obstacle:
        lines.append(obstacle)
    elif picture.waiting:
        lines.append(f"Behind it wait: {names_text(picture.waiting)}.")
    lines += [f"{each}." for each in picture.periodic]
    for task in picture.background:
        lines.append(
            f"The background task {task.name!r} is {task.standing}: task.cancel() ends it."
        )
        if about := core.household.background.explain(task):
            lines.append(f"  {about}")
    lines += [f"The interlock {each}." for each in picture.interlocks if each.tripped]
    lines += [f"{holder!r} holds {device!r}." for device, holder in picture.claims.items()]
    lines += _threads(core)
    return "\n".join(lines)


def _plan(core: EngineCore, picture: EngineSnapshot) -> Iterator[str]:
    if picture.plan_name is None:
        yield "No plan is in the foreground."
        return
    yield f"The plan {picture.plan_name!r} is {picture.state}, since {picture.elapsed or 0:.1f} s."
    message = core.message
    if message is not None and picture.state is not EngineState.PAUSED:
        about = "" if message.obj is None else f" of {device_name(message.obj)!r}"
        yield f"Its latest message is {message.command!r}{about}."
    if about := waits_for(core):
        yield about
    for offer in picture.actions:
        yield f"{offer.plan!r} waits for an action: RE.trigger_action({offer.name!r})."
    yield _REMEDIES.get(picture.state, "")


def waits_for(core: EngineCore) -> str:
    """Say which devices a plan waits for, and with what in a pause or in the clean-up; or nothing.

    From any thread.
    """
    parts = []
    if doing := core.doing:
        parts.append(f"It is to {doing}, and waits until that is done.")
    if devices := core.statuses.in_use():
        parts.append(f"It waits for, or has under way: {', '.join(map(device_name, devices))}.")
    return " ".join(parts)


def _threads(core: EngineCore) -> Iterator[str]:
    """Say where the engine's thread is, if it does not answer, and where the others are."""
    if not core.thread.is_alive():
        yield "The engine's thread has ended."
        return
    if not core.on_loop_thread() and not _answers(core):
        device = _device_on(core.thread.ident)
        what = "something on it blocks, such as a callback or a device"
        if device is not None:
            what = f"the device {device_name(device)!r} blocks it"
        yield (
            f"The engine's thread has not answered for {ANSWER:g} s: {what}. Until it returns "
            "nothing of the plan goes on. It is in:"
        )
        yield from _stack(core.thread.ident)
    else:
        yield "The engine's thread answers."
    for thread in threading.enumerate():
        if thread is not core.thread and thread is not threading.current_thread():
            place = next(iter(_stack(thread.ident, 1)), "")
            yield f"Thread {thread.name!r}: {place.strip()}"


def _answers(core: EngineCore) -> bool:
    answered = threading.Event()
    core.call_on_loop(answered.set)
    return answered.wait(ANSWER)


def _device_on(ident: int | None) -> Any:
    """Return the device that a thread is in a method of, the innermost of several, or ``None``."""
    frame: Any = sys._current_frames().get(ident or 0)  # noqa: SLF001
    while frame is not None:
        owner = frame.f_locals.get("self")
        if is_device_instance(owner):
            return owner
        frame = frame.f_back
    return None


def _stack(ident: int | None, lines: int = LINES) -> list[str]:
    # The only way to see where another thread is; documented, for all its underscore.
    frame: Any = sys._current_frames().get(ident or 0)  # noqa: SLF001
    if frame is None:
        return []
    return [
        f"  {entry.filename}:{entry.lineno} in {entry.name}"
        for entry in traceback.extract_stack(frame)[-lines:]
    ]
