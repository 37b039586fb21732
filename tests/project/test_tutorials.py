"""The tutorials run as they stand, and print what they say that they print.

Each ``python`` block of a page in ``docs/tutorials`` runs after the ones before it; a ``text``
block that follows one is what it prints. A page of sessions (``pycon``) is run as a doctest. A page
whose blocks are for a prompt or a window of their own says so with a comment
``<!-- not run: why -->`` and is left to tests of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "-- next block --"


def pages() -> list[Path]:
    return sorted(
        page
        for page in TUTORIALS.glob("*.md")
        if page.stem != "index" and "<!-- not run" not in page.read_text()
    )


def test_there_is_a_tutorial() -> None:
    assert pages()


def is_session(page: Path) -> bool:
    return "```python\n>>> " in page.read_text() or "```pycon\n" in page.read_text()


SESSION = """
import doctest, re, sys
text = open(sys.argv[1]).read()
blocks = re.findall(r"^```(?:python|pycon)\\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
source = "\\n".join(block + "\\n" for block in blocks if ">>>" in block)
test = doctest.DocTestParser().get_doctest(source, {}, sys.argv[1], sys.argv[1], 0)
flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
sys.exit(doctest.DocTestRunner(optionflags=flags).run(test).failed)
"""


@pytest.mark.parametrize(
    "page", [page for page in pages() if is_session(page)], ids=lambda page: page.stem
)
def test_a_session_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", SESSION, str(page)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "page", [page for page in pages() if not is_session(page)], ids=lambda page: page.stem
)
def test_a_tutorial_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(page.read_text())
    code, said = [], []
    for number, (kind, text) in enumerate(blocks):
        if kind == "python":
            code.append(f"{text}\nprint({MARK!r})\n")
            following = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            said.append(following[1] if following[0] == "text" else None)
    answer = subprocess.run(
        [sys.executable, "-c", "".join(code)],  # a session of its own: nothing leaks into another
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    printed = answer.stdout.split(MARK + "\n")
    for expected, real in zip(said, printed, strict=False):
        if expected is not None:
            assert real.strip() == expected.strip()
