"""Pages of documentation, and what is to be done with the blocks of code in them.

- ``python`` blocks of a page are one program, in their order, as a reader types them one after the
  other. A ``text`` block that follows one is what it prints.
- A block that begins with a comment that is a file's name, ``# plans.py``, is that file. It is
  there before the program runs; one named ``# test_….py`` is run by pytest.
- ``console`` blocks are for a shell, in the folder of these files, after the program. Lines with
  ``$`` are typed, others are printed, ``…`` stands for anything. What ``pip`` would install is
  looked up in ``pyproject.toml`` instead.
- ``ipython`` blocks are cells of a notebook, after the program, or with ``In [n]:`` a session.
- ``pycon`` blocks are doctests.

``<!-- not run: the reason -->`` before a block leaves it out; ``<!-- fails on purpose: what -->``
anywhere in a page says that the engine logs failures there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^>]+) -->\n\n?)?"
    r"^(?P<indent> *)```(?P<kind>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
FAILS = re.compile(r"^<!-- fails on purpose: (?P<reason>[^>]+) -->$", re.MULTILINE)
FILE = re.compile(r"# (?P<name>[\w/]+\.py)\n")


@dataclass(frozen=True)
class Block:
    """One block of code; ``line`` is the first of its lines, counted from 1."""

    page: Path
    kind: str
    text: str
    line: int
    reason: str | None

    @property
    def file(self) -> str | None:
        """The file that this block is, if it is one."""
        match = FILE.match(self.text) if self.kind == "python" else None
        return match["name"] if match else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return the README and the pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of code of a page; what Sphinx makes something else of is none."""
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        if not match["kind"].startswith("{"):
            code = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
            line = text.count("\n", 0, match.start("text")) + 1
            found.append(Block(page, match["kind"], code, line, match["reason"]))
    return found


def fails_on_purpose(page: Path) -> bool:
    """Tell whether a page says that it makes the engine log failures."""
    return FAILS.search(page.read_text()) is not None


def program_of(blocks: list[Block]) -> str:
    """Put blocks into one file, each at the lines that it has in its page."""
    lines: list[str] = []
    for block in blocks:
        lines += [""] * (block.line - 1 - len(lines))
        lines += block.text.splitlines()
    return "\n".join(lines) + "\n"
