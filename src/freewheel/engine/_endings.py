"""What `RunEngineInterrupted` says: what has happened to a plan, and how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluesky.run_engine import RunEngineInterrupted

if TYPE_CHECKING:
    from bluesky.run_engine import RunEngineResult

__all__ = ["ended", "panicked", "paused"]


def paused(plan_name: str, more: str, why: str = "") -> RunEngineInterrupted:
    """Return the error for who waits for a plan that is paused.

    Parameters
    ----------
    more : str
        What the user wants to be said besides: ``RE.pause_msg``.
    why : str
        What has paused it, if nobody has asked for that.
    """
    text = (
        f"The plan {plan_name!r} was paused{f', for {why}' if why else ''}. If it still is, "
        "RE.resume() has it go on; RE.stop(), RE.abort() and RE.halt() end it."
    )
    return RunEngineInterrupted(f"{text}\n{more}" if more else text)


def ended(plan_name: str, result: RunEngineResult, *, halted: bool) -> RunEngineInterrupted:
    """Return the error for who waits for a plan that was ended by somebody."""
    if halted:
        how = "halted: its own clean-up was skipped"
    elif result.exit_status == "success":
        how = "stopped, with its clean-up; its runs count as successful"
    else:
        how = "aborted, with its clean-up"
    why = f", because: {result.reason}" if result.reason else ""
    return RunEngineInterrupted(f"The plan {plan_name!r} was {how}{why}.")


def panicked(plan_name: str) -> RunEngineInterrupted:
    """Return the error for who has hit Ctrl-C until a plan that does not answer was given up."""
    return RunEngineInterrupted(
        f"The plan {plan_name!r}, or a document callback, holds the engine's thread and does not "
        "answer a halt. The engine is panicked: it runs nothing any more. Restart the process."
    )
