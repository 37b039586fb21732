"""How long devices took before: what previews go by where these do not say it, kept in a file."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import pytest
from ophyd_async.core import AsyncStatus, StandardReadable

from freewheel import RunEngine
from freewheel.previews import Times, TimesFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Slide(StandardReadable):
    """Takes its time, and does not say how much."""

    @AsyncStatus.wrap
    async def set(self, value: float) -> None:
        await asyncio.sleep(0.02)


def test_an_engine_learns_how_long_a_device_takes(
    make_engine: Callable[..., RunEngine], tmp_path: Path
) -> None:
    file, slide = tmp_path / "times.json", Slide("slide")
    first = make_engine()
    assert first.preview(bps.mv, slide, 1).is_guess
    first.preview.learn(file)
    first(bps.mv(slide, 1)).result(10)
    foreseen = first.preview(bps.mv, slide, 2)
    assert not foreseen.is_guess
    first.close()
    _wait_for_writer()
    assert json.loads(file.read_text())["seconds"]["slide"]["set"]

    second = make_engine()
    second.preview.learn(file)
    assert second.preview(bps.mv, slide, 2).duration == pytest.approx(foreseen.duration, abs=1e-4)


def test_a_task_teaches_too(RE: RunEngine) -> None:
    slide = Slide("slide")
    RE.preview.learn()
    RE.background.launch(bps.mv(slide, 1)).wait(10)
    assert not RE.preview(bps.mv, slide, 2).is_guess


def test_a_move_that_fails_teaches_nothing(RE: RunEngine) -> None:
    class Stuck(Slide):
        @AsyncStatus.wrap
        async def set(self, value: float) -> None:
            raise RuntimeError("stuck")

    slide = Stuck("slide")
    RE.preview.learn()
    assert RE(bps.mv(slide, 1)).exception(10) is not None
    assert RE.preview(bps.mv, slide, 2).is_guess


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 9, "seconds": {}}', "no json"])
def test_a_file_that_cannot_be_read_is_begun_anew(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "times.json"
    file.write_text(text)
    times = Times()
    with caplog.at_level(logging.WARNING, "freewheel"):
        TimesFile(file, times).load()
    assert "measured anew" in caplog.text
    times.note("slide", "set", 1.5)
    TimesFile(file, times).save()
    again = Times()
    TimesFile(file, again).load()
    measured = again.of("slide", "set")
    assert measured is not None
    assert measured.typical == 1.5


def test_a_file_that_cannot_be_written_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "freewheel"):
        TimesFile(tmp_path / "nowhere" / "times.json", Times()).save()
    assert "cannot be kept" in caplog.text


def test_few_times_of_each_are_remembered() -> None:
    times = Times()
    for number in range(1000):
        times.note("slide", "set", float(number))
    measured = times.of("slide", "set")
    assert measured is not None
    assert (measured.shortest, measured.longest) == (968.0, 999.0)


def _wait_for_writer() -> None:
    for thread in threading.enumerate():
        if thread.name == "freewheel-times":
            thread.join(10)
