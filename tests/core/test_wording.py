"""How values are put into words."""

from __future__ import annotations

import pytest

from freewheel.core import (
    Progress,
    amount_text,
    clock_text,
    duration_text,
    label_text,
    left_text,
)
from freewheel.core._wording import count_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 frames"), (1, "1 frame"), (2, "2 frames"), (1.0, "1 frame"), (9.871, "9.87 frames")],
)
def test_one_is_not_several(count: float, text: str) -> None:
    assert count_text(count, "frame") == text


@pytest.mark.parametrize(
    ("seconds", "text", "with_tenths"),
    [
        (None, "", ""),
        (0, "0 s", "0.0 s"),
        (12.34, "12 s", "12.3 s"),
        (59.94, "59 s", "59.9 s"),
        (59.96, "59 s", "59 s"),
        (60, "1 min 0 s", "1 min 0 s"),
        (200.9, "3 min 20 s", "3 min 20 s"),
        (3600, "1 h 0 min", "1 h 0 min"),
        (7384, "2 h 3 min", "2 h 3 min"),
    ],
)
def test_how_long_it_took(seconds: float | None, text: str, with_tenths: str) -> None:
    assert duration_text(seconds) == text
    assert duration_text(seconds, tenths=True) == with_tenths


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0, "0:00.0"), (65.25, "1:05.2"), (7205.3, "2:00:05.3")],
)
def test_what_a_clock_shows(seconds: float | None, text: str) -> None:
    assert clock_text(seconds) == text


def test_how_far_something_is() -> None:
    scan = Progress("scan", "scan", current=3, target=5, unit="points", fraction=0.6)
    assert amount_text(scan) == "60% 3/5 points"
    assert amount_text(Progress("x", "scan", current=0.123456, unit="mm")) == "0.1235 mm"
    assert amount_text(Progress("x", "scan")) == ""


def test_whose_progress_it_is_and_how_much_is_left() -> None:
    scan = Progress("scan", "scan", remaining=80.0)
    assert label_text(scan) == "scan"
    assert label_text(Progress("frames", "watch", background=True)) == "watch: frames"
    assert left_text(scan) == "1 min 20 s left"
    assert left_text(Progress("scan", "scan")) == ""
