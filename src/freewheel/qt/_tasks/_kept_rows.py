"""Rows that stay while others come and go: a queue of thousands changes with each plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["KeptRows"]

T = TypeVar("T")


class KeptRows(Generic[T]):
    """Makes a widget's rows those of other things, and touches only what is different.

    Things are the same if they are one object.

    Parameters
    ----------
    take
        ``take(row)``: takes a row away.
    insert
        ``insert(row, thing)``: makes a row.
    """

    def __init__(self, take: Callable[[int], object], insert: Callable[[int, T], object]) -> None:
        self._take, self._insert = take, insert
        self._things: list[T] = []

    def show(self, things: Sequence[T]) -> bool:
        """Show these, in this order; return whether anything is different."""
        shown = self._things
        if len(shown) == len(things) and all(map(_is, shown, things)):
            return False
        wanted = {id(thing) for thing in things}
        for row in reversed(range(len(shown))):
            if id(shown[row]) not in wanted:
                self._away(row)
        for row, thing in enumerate(things):
            if row < len(shown) and shown[row] is thing:
                continue
            if row + 1 < len(shown) and shown[row + 1] is thing:
                self._away(row)  # this one goes further down, and not all others up
                continue
            for further in range(row + 1, len(shown)):
                if shown[further] is thing:
                    self._away(further)
                    break
            shown.insert(row, thing)
            self._insert(row, thing)
        return True

    def _away(self, row: int) -> None:
        del self._things[row]
        self._take(row)


def _is(one: object, other: object) -> bool:
    return one is other
