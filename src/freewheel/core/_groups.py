"""Names for groups that no other group of the process has."""

from __future__ import annotations

import itertools

__all__ = ["fresh_group"]

# `next` of a count is one step of the interpreter: safe from any thread.
_numbers = itertools.count(1)


def fresh_group(label: str) -> str:
    """Return a group name that was not used before, such as ``"trigger-00002a"``.

    A name that is used twice is dangerous: a status that fails before its group is waited for
    stays in the group, and every later wait for that name fails.
    """
    return f"{label}-{next(_numbers):06x}"
