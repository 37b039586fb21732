"""A preview as a small piece of HTML, for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["card"]

_CARD: Final = (
    "display:inline-block;border:1px solid #8888;border-left:4px solid {colour};"
    "border-radius:4px;padding:.3em .8em;font-family:sans-serif;font-size:90%"
)
_WRONG, _UNSURE, _GOOD = "#b3261e", "#8a6100", "#1b6e3c"


def card(name: str, lines: Iterable[str], *, wrong: bool, unsure: bool) -> str:
    """Return a card.

    Parameters
    ----------
    name : str
        The plan.
    lines : iterable of str
        What is said of it.
    wrong, unsure : bool
        Whether it will fail; whether something was guessed.
    """
    colour = _WRONG if wrong else _UNSURE if unsure else _GOOD
    first, *rest = lines
    head = f"<div><b>{escape(name)}</b> {escape(first)}</div>"
    body = "".join(f"<div>{escape(line)}</div>" for line in rest)
    return f'<div style="{_CARD.format(colour=colour)}">{head}{body}</div>'
