"""Small pieces of HTML that notebooks show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freewheel.core import amount_text, label_text
from freewheel.core._wording import names_text, took_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from freewheel.core import EngineSnapshot, Progress

__all__ = ["engine_card", "plan_card", "progress_bars"]

_COLOURS = (
    ("failed", "#b3261e"),
    ("running", "#1b6e3c"),
    ("completed", "#1b6e3c"),
    ("idle", "#7a7a7a"),
    ("closed", "#7a7a7a"),
)
_OTHER = "#8a6100"
_CARD = (
    "display:inline-block;border:1px solid #8888;border-left:4px solid {colour};"
    "border-radius:4px;padding:.3em .8em;font-family:sans-serif;font-size:90%"
)


def _escape(text: str) -> str:
    from html import escape  # with its table of all entities, which a start need not wait for

    return escape(text)


def plan_card(
    name: str,
    status: str,
    elapsed: float | None,
    progress: Iterable[Progress] = (),
    left: float | None = None,
) -> str:
    """Return a card about a plan.

    Parameters
    ----------
    name : str
        The plan.
    status : str
        What it does, or how it ended.
    elapsed : float or None
        Seconds since its start.
    progress : iterable of Progress
        How far it has come.
    left : float or None
        Seconds until its end, if that is known.
    """
    took = "" if elapsed is None else f" · {took_text(elapsed, left, tenths=True)}"
    return _card(name, status, f"{took}{progress_bars(progress)}")


def engine_card(name: str, picture: EngineSnapshot, note: str) -> str:
    """Return a card about an engine.

    Parameters
    ----------
    name : str
        The engine's class.
    picture : EngineSnapshot
        How it stands.
    note : str
        What keeps plans from being started, and what mends it, or how the last plan ended.
    """
    lines = []
    if picture.plan_name is not None:
        took = took_text(picture.elapsed, picture.time_left, tenths=True)
        lines.append(
            f"<b>{_escape(picture.plan_name)}</b> · {took}{progress_bars(picture.progress)}"
        )
    if picture.waiting:
        lines.append(f"waiting: {_escape(names_text(picture.waiting))}")
    lines += [f"{_escape(task.name)}: {_escape(task.standing)}" for task in picture.background]
    if note:
        lines.append(_escape(note))
    return _card(name, str(picture.state), "".join(f"<div>{line}</div>" for line in lines))


def _card(name: str, status: str, more: str) -> str:
    colour = next((code for word, code in _COLOURS if status.startswith(word)), _OTHER)
    return (
        f'<div class="freewheel-card" style="{_CARD.format(colour=colour)}">'
        f'<b>{_escape(name)}</b> <span style="color:{colour}">{_escape(status)}</span>{more}</div>'
    )


def progress_bars(progress: Iterable[Progress]) -> str:
    """Return bars, one below the other."""
    return "".join(_bar(each) for each in progress)


def _bar(each: Progress) -> str:
    value = "" if each.fraction is None else f' value="{each.fraction:.4f}"'
    return (
        f'<div style="padding-left:{each.depth}em"><progress max="1"{value}></progress> '
        f"{_escape(label_text(each))} <small>{_escape(amount_text(each))}</small></div>"
    )
