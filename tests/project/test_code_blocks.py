"""Every block of code in README and docs runs as it stands, and prints what stands below it.

How a block says what it is, `tests/support/pages.py` tells. Each page runs in a process and a
folder of its own: what it does not make itself does not exist.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pages
from nursery import Nursery
from pages import ROOT, Block, blocks_of, fails_on_purpose, program_of

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {"python", "text", "yaml", "console", "ipython", "pycon", "bash"}
BLOCKS = {page: blocks_of(page) for page in pages.pages()}
RUN = {page: [block for block in blocks if not block.reason] for page, blocks in BLOCKS.items()}
# Few: what would download. What opens a window or serves is tried by a test that its reason names.
MOST_LEFT_OUT = 5
# Sessions at a prompt are run by tests/ipython/test_tutorial.py.
SESSIONS = [ROOT / "docs" / "tutorials" / name for name in ("laboratory.md", "prompt.md")]
PATIENCE = 100  # seconds
# Their programs start other projects' servers.
SERVED = {"docs/how-to/epics", "docs/how-to/tango", "docs/how-to/tiled"}
# These take several seconds: with those of servers, for the README's command is to stay short. The
# README's own program and most tutorials are left to it.
LONG_PROGRAMS = {
    "docs/how-to/background",
    "docs/how-to/callbacks",
    "docs/how-to/embed",
    "docs/how-to/fast-acquisition",
    "docs/how-to/ipython",
    "docs/how-to/metadata",
    "docs/how-to/micro-manager",
}
LONG_SESSIONS = {"docs/tutorials/record-replay"}
LONG_COMMANDS = {"docs/how-to/embed", "docs/how-to/publish", "docs/how-to/simulate"}
LONG_TESTS = {"docs/how-to/test-your-plans"}


def with_blocks(*kinds: str) -> list[Path]:
    return [page for page, blocks in RUN.items() if any(block.kind in kinds for block in blocks)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT)).removesuffix(".md")


def marked(found: list[Path], later: set[str]) -> list[Any]:
    """Mark the pages that are run after the README's command, in the gate."""
    assert later <= {name_of(page) for page in found}
    return [
        pytest.param(page, marks=[pytest.mark.servers] if name_of(page) in later else [])
        for page in found
    ]


def run(folder: Path, *arguments: str | Path, **environment: str) -> str:
    """Run Python in a folder; return what it printed. It must not fail, nor log a failure."""
    answer = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr, answer.stderr
    return answer.stdout


def pattern_of(text: str) -> str:
    """Return what matches a text in which ``…`` stands for anything."""
    return re.escape(text).replace("…", ".*?")


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a page, with the files that its blocks are."""
    for block in RUN[request.getfixturevalue("page")]:
        if block.file:
            path = tmp_path / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    return tmp_path


def test_every_block_says_what_it_is_and_few_are_left_out() -> None:
    blocks = [block for found in BLOCKS.values() for block in found]
    assert [str(block) for block in blocks if block.kind not in KINDS] == []
    left_out = [block for block in blocks if block.reason]
    for block in left_out:
        assert len(block.reason.split()) >= 4, f"{block}: {block.reason!r} is no reason"
    nowhere = [block for block in left_out if not named_tests(block)]
    assert len(nowhere) <= MOST_LEFT_OUT, [str(block) for block in nowhere]
    assert [page for page in BLOCKS if any(sessions_of(page))] == SESSIONS


def named_tests(block: Block) -> list[str]:
    """Return the files of tests that a reason names; they are there, and do what it says."""
    named = re.findall(r"tests/[\w/]+\.py", block.reason or "")
    assert all((ROOT / name).is_file() for name in named), named
    return named


def sessions_of(page: Path) -> list[Block]:
    return [block for block in RUN[page] if block.kind == "ipython" and "In [" in block.text]


def test_blocks_are_found_wherever_they_stand(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n```python\na = 1\n```\n\n"
        "- in a list:\n\n  ```python\n  if a:\n      b = 2\n  ```\n\n"
        "<!-- not run: it needs a beam -->\n```python\nbeam()\n```\n\n```{note}\nno code\n```\n"
    )
    first, second, third = blocks_of(page)
    assert (first.text, first.line, first.reason) == ("a = 1\n", 4, None)
    assert (second.text, second.line, second.reason) == ("if a:\n    b = 2\n", 10, None)
    assert (third.text, third.line, third.reason) == ("beam()\n", 16, "it needs a beam")
    assert program_of([first, second]).splitlines()[3:] == [
        "a = 1",
        *[""] * 5,
        "if a:",
        "    b = 2",
    ]


def programs() -> list[Any]:
    """Return the pages with a program: with blocks of Python that are no files of their own."""
    found = [
        page
        for page, blocks in RUN.items()
        if any(block.kind == "python" and not block.file for block in blocks)
    ]
    return marked(found, SERVED | LONG_PROGRAMS)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery(dict(os.environ)) as made:
        yield made


@pytest.mark.parametrize("page", programs(), ids=name_of)
def test_the_program_of_a_page(page: Path, folder: Path, nursery: Nursery) -> None:
    blocks = [block for block in RUN[page] if not block.file]
    program = folder / "page.py"
    program.write_text(program_of([block for block in blocks if block.kind == "python"]))
    cells = folder / "cells.json"
    notebook = [block for block in blocks if block.kind == "ipython"]
    notebook = [block.text for block in notebook if block not in sessions_of(page)]
    cells.write_text(json.dumps(notebook))
    code, printed, logged = nursery.run(folder, program, cells)
    assert code == 0, printed + logged
    assert fails_on_purpose(page) or "Traceback" not in logged, logged
    said = [block.text for block in blocks if block.kind == "text"]
    if said:
        assert re.fullmatch(pattern_of("".join(said).strip()), printed.strip(), re.DOTALL), printed


def files_with_tests(page: Path) -> list[str]:
    """Return the files of a page that are tests."""
    files = [block.file for block in RUN[page] if block.file]
    return [file for file in files if Path(file).name.startswith("test_")]


WITH_TESTS = [page for page in RUN if files_with_tests(page)]


@pytest.mark.parametrize("page", marked(WITH_TESTS, LONG_TESTS), ids=name_of)
def test_the_tests_of_a_page_pass(page: Path, folder: Path) -> None:
    plugins = ("-p", "freewheel.testing.plugin", "-p", "no:cacheprovider")
    printed = run(
        *(folder, "-m", "pytest", "-q", *plugins, *files_with_tests(page)),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert re.search(r"^\d+ passed", printed, re.MULTILINE), printed


def commands_of(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a ``console`` block, each with what it prints."""
    commands: list[tuple[str, str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], ""))
        else:
            command, said = commands[-1]
            commands[-1] = command, f"{said}{line}\n"
    return commands


@pytest.mark.parametrize("page", marked(with_blocks("console"), LONG_COMMANDS), ids=name_of)
def test_the_commands_of_a_page(page: Path, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in RUN[page]:
        for command, said in commands_of(block) if block.kind == "console" else ():
            if command.startswith("pip install "):
                assert_extras_exist(command)
                continue
            # As installed, the command is this module.
            real = re.sub(r"^freewheel\b", f"'{sys.executable}' -m freewheel", command)
            answer = subprocess.run(
                real,
                shell=True,
                cwd=folder,
                env={**os.environ, "PATH": path, "COLUMNS": "200", "TERM": "dumb"},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert answer.returncode == 0, f"{block}: {command}\n{answer.stdout}{answer.stderr}"
            assert "Traceback" not in answer.stderr, answer.stderr
            if said:
                printed = answer.stdout.strip()
                assert re.fullmatch(pattern_of(said.strip()), printed, re.DOTALL), printed


def assert_extras_exist(command: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = re.search(r"(?:freewheel|\.)\[([\w,-]+)\]", command)
    assert asked, command
    assert set(asked[1].split(",")) <= set(extras["optional-dependencies"]), command


DOCTEST = """
import doctest, re, sys
text = open(sys.argv[1]).read()
blocks = re.findall(r"^```pycon\\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
source = "\\n".join(block + "\\n" for block in blocks)
test = doctest.DocTestParser().get_doctest(source, {}, sys.argv[1], sys.argv[1], 0)
flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
sys.exit(doctest.DocTestRunner(optionflags=flags).run(test).failed)
"""


@pytest.mark.parametrize("page", marked(with_blocks("pycon"), LONG_SESSIONS), ids=name_of)
def test_a_session_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    run(tmp_path, "-c", DOCTEST, page)
