"""The tutorial of the prompt is run, and compared with what it prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import bluesky.plans as bp
import pytest

from freewheel.plans import live_view
from freewheel.sim import microscope

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
INPUT = re.compile(r"^(?:\[.*?\] )?In \[(\d+)\]: (.*)$")


def cells(page: str) -> list[tuple[str, list[str]]]:
    """The inputs of a tutorial, each with the lines that it prints."""
    blocks = re.findall(r"```ipython\n(.*?)```", (TUTORIALS / page).read_text(), re.DOTALL)
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks).splitlines():
        if match := INPUT.match(line):
            found.append((match[2], []))
        elif line:
            found[-1][1].append(line)
    return found


def without_numbers(line: str) -> str:
    return re.sub(r"\d+", "N", line)


def test_the_tutorial_prints_what_it_says(new_terminal: Any) -> None:
    terminal = new_terminal("-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=nocolor")
    _type(terminal, "prompt.md")


@pytest.mark.servers
def test_cara_sees_at_her_prompt_what_the_tutorial_says(
    new_terminal: Any, engine: Any, tmp_path: Path
) -> None:
    remote = pytest.importorskip("freewheel.remote")
    tokens = remote.TokenFile(tmp_path / "tokens.json")
    engine.queue.on_interruption = "hold"  # as freewheel serve does
    with remote.EngineServer(
        engine,
        plans=[bp.count, bp.scan, live_view],
        devices=microscope(shape=(64, 64)),
        tokens=tokens,
        port=0,
    ) as server:
        with remote.connect(server.url, tokens.add("anna")) as anna:
            plan = anna.plans.live_view([anna.devices.camera])
            anna.background.launch(plan, name="live_view", on_conflict="pause")
        token = tokens.add("cara", "operator")
        _type(
            new_terminal(
                "-m", "freewheel", "shell", "--connect", server.url, FREEWHEEL_TOKEN=token
            ),
            "laboratory.md",
        )
    assert engine.current is None


def _type(terminal: Any, page: str) -> None:
    for cell, lines in cells(page):
        terminal.start(cell)
        for line in lines:
            if line == "^C":
                terminal.wait("live_view running")
                terminal.interrupt()
            else:
                terminal.wait("^" + re.sub(r"\\?\d+", r"\\d+", re.escape(line)))
        terminal.prompt()
        printed = [line for line in terminal.output(terminal.cells).splitlines()[1:] if line]
        # What is told of a plan's end comes when it comes.
        kept = [line for line in printed if not re.match(r"^\[.*\] ?(completed .*)?$", line)]
        said = [without_numbers(line) for line in lines if line != "^C"]
        assert [without_numbers(line) for line in kept] == said, cell
