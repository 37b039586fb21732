"""The programs of the gallery run as they stand, and print what their pages say."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pages import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "gallery"
PROGRAMS = sorted(FOLDER.glob("*.py"))
# A service that has failed stops all: the thread which sees to that ends a moment after the engine.
LINGERS = {"watchdog": [pytest.mark.leaks("the thread of stop_all ends by itself")]}


@pytest.fixture
def _log_as_before() -> Iterator[None]:
    """Undo what the one does that fails on purpose, and silences the log."""
    levels = [(log, log.level) for log in map(logging.getLogger, ("freewheel", "bluesky"))]
    yield
    for log, level in levels:
        log.setLevel(level)


@pytest.mark.usefixtures("_log_as_before")
@pytest.mark.parametrize(
    "program",
    [pytest.param(each, id=each.stem, marks=LINGERS.get(each.stem, ())) for each in PROGRAMS],
)
def test_a_program_prints_what_its_page_says(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (said,) = blocks_of(page_of(program))
    runpy.run_path(str(program), run_name="__main__")
    assert capsys.readouterr().out == said.text


def page_of(program: Path) -> Path:
    return program.with_name(program.stem.replace("_", "-") + ".md")


def test_there_are_ten_of_a_page_each() -> None:
    assert len(PROGRAMS) == 10
    for program in PROGRAMS:
        assert len(program.read_text().splitlines()) <= 60
        assert f"literalinclude}} {program.name}" in page_of(program).read_text()
