"""The tutorial of the prompt is run, and compared with what it prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "prompt.md"
INPUT = re.compile(r"^(?:\[.*?\] )?In \[(\d+)\]: (.*)$")


def cells() -> list[tuple[str, list[str]]]:
    """The inputs of the tutorial, each with the lines that it prints."""
    blocks = re.findall(r"```ipython\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
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
    for cell, lines in cells():
        terminal.start(cell)
        for line in lines:
            if line == "^C":
                terminal.wait("live_view running")
                terminal.interrupt()
            else:
                terminal.wait("^" + re.sub(r"\\?\d+", r"\\d+", re.escape(line)))
        terminal.prompt()
        printed = [line for line in terminal.output(terminal.cells).splitlines()[1:] if line]
        kept = [line for line in printed if not re.match(r"^\[.*\] ?$", line)]
        said = [without_numbers(line) for line in lines if line != "^C"]
        assert [without_numbers(line) for line in kept] == said, cell
