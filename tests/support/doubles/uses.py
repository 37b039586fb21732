"""What plans do with a device, in the ways in which one is held."""

from __future__ import annotations

from typing import Any

from bluesky.utils import Msg

from .devices import Device

SECONDS = 0.0005  # that a move takes


def staging(device: Device, turns: int | None = 3) -> Any:
    """Stage a device and take a run with it; without ``turns`` until ended."""
    yield Msg("stage", device)
    yield from scanning(device, turns)
    yield Msg("unstage", device)


def scanning(device: Device, turns: int | None = 3) -> Any:
    """Move and trigger it in a run."""
    yield Msg("open_run")
    try:
        turn = 0
        while turns is None or turn < turns:
            turn += 1
            yield Msg("checkpoint")
            yield Msg("set", device, SECONDS, group="move")
            yield Msg("sleep", None, 0)
            yield Msg("wait", None, group="move")
            yield Msg("trigger", device, group="shot")
            yield Msg("wait", None, group="shot")
    except GeneratorExit:
        raise  # halted: nothing more can be asked for
    except BaseException:
        yield Msg("close_run")
        raise
    yield Msg("close_run")


def moving(device: Device, turns: int | None = 3) -> Any:
    """Move it without a run: it is free in between."""
    turn = 0
    while turns is None or turn < turns:
        turn += 1
        yield Msg("checkpoint")
        yield Msg("set", device, SECONDS, group="move")
        yield Msg("wait", None, group="move")
        yield Msg("sleep", None, 0.0002)


def claiming(device: Device, turns: int | None = 3) -> Any:
    """Claim it, move it now and then, and release it."""
    yield Msg("checkpoint")
    yield Msg("claim", None, device)
    yield from moving(device, turns)
    yield Msg("release", None, device)
    yield Msg("sleep", None, 0.0005)


USES = {"staging": staging, "scanning": scanning, "moving": moving, "claiming": claiming}
