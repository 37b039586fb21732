"""The opt-in that has bluesky's ``@plan`` remember the line that made a plan, and no more.

bluesky wraps each plan of its own in an object that warns when nobody iterated the plan, and to
be able to say where it was made formats the whole call stack each time: 30 µs in a script, 100
and more in an interactive session, for each stub of each step of a scan.
"""

# This is one of the places where bluesky's private names are allowed.
from __future__ import annotations

import sys
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bluesky.utils import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import CodeType

__all__ = ["bare_plans", "remember_call_sites"]

# Guards the two below. Invariant: bluesky's class has our constructor exactly while `_users` > 0.
_lock = threading.Lock()
_users = 0
_original: Callable[..., None] = Plan.__init__


class _CallSite:
    """What bluesky joins into its warning, formatted if it ever comes to that."""

    __slots__ = ("_code", "_line", "_name")

    def __init__(self, code: CodeType, line: int, name: str) -> None:
        self._code = code
        self._line = line
        self._name = name

    def __iter__(self) -> Iterator[str]:
        site = traceback.FrameSummary(self._code.co_filename, self._line, self._code.co_name)
        yield from traceback.format_list([site])
        yield _last_words(self._name)


def _last_words(name: str) -> str:
    """Return what bluesky's own constructor would have the warning end with."""

    def nothing() -> None: ...

    nothing.__name__ = name
    probe = Plan.__new__(Plan)
    _original(probe, nothing)
    words: str = probe._stack[-1]
    probe._stack = []  # so that the probe itself does not warn
    return words


def _remember_call_site(self: Plan, f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    self._iter = f(*args, **kwargs)
    # Below this is bluesky's wrapper, and below that who called it.
    caller = sys._getframe(2)
    site: Any = _CallSite(caller.f_code, caller.f_lineno, f.__name__)
    self._stack = site


class _Remembering:
    """That call sites are remembered, until it is left. Guarded by the module's lock."""

    def __init__(self) -> None:
        self._holds = False

    def __repr__(self) -> str:
        """Say at a prompt what the call has done."""
        return f"<call sites {'are' if self._holds else 'were'} remembered>"

    def __enter__(self) -> None:
        global _users
        with _lock:
            if self._holds:
                return
            self._holds = True
            _users += 1
            Plan.__init__ = _remember_call_site  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        global _users
        with _lock:
            if not self._holds:
                return
            self._holds = False
            _users -= 1
            if not _users:
                Plan.__init__ = _original  # type: ignore[method-assign]


def remember_call_sites() -> AbstractContextManager[None]:
    """Make bluesky's own plans and stubs cheap to call, from now on.

    bluesky's ``@plan`` then remembers the line that made a plan instead of the whole call stack.
    A plan that nobody iterates warns as ever, and names that line. bluesky's ``count``,
    unchanged, runs several times as fast on a freewheel engine then.

    It holds for the whole process, in every thread: until what is returned is left as a context,
    or, where it is not used as one, until the process ends. Such contexts may overlap, and the
    last one that ends restores bluesky as it was.

    Returns
    -------
    context manager
        It restores bluesky as it was, when it is left.

    Examples
    --------
    >>> from bluesky.plans import count
    >>> with remember_call_sites():
    ...     RE(count([camera], 10_000)).result()
    """
    remembering = _Remembering()
    remembering.__enter__()  # a bare call must do what it says
    return remembering


class _Thread(threading.local):
    """What is called in this thread in place of which plan function; ``None`` for nothing."""

    instead: Mapping[Callable[..., Any], Callable[..., Any]] | None = None


_here = _Thread()


def _new(cls: type[Plan], f: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
    instead = _here.instead
    if instead is None or cls is not Plan or f is None:
        return object.__new__(cls)
    return instead.get(f, f)(*args, **kwargs)  # no Plan, so that Python calls no constructor


@contextmanager
def bare_plans(instead: Mapping[Callable[..., Any], Callable[..., Any]]) -> Iterator[None]:
    """Have bluesky's plan functions return their generators, in this thread alone.

    No plan that is made in it within the context is wrapped, and none warns if nobody iterates it.
    `Plan` stays the class that it is, and every other thread makes plans as ever.

    Parameters
    ----------
    instead : mapping of function to function
        By what bluesky has wrapped: what is called in its place.

    Yields
    ------
    None
        Nothing.
    """
    before = _here.instead
    # It stays: Python makes no object any more of a class whose __new__ was taken away again.
    if Plan.__new__ is not _new:
        Plan.__new__ = staticmethod(_new)  # type: ignore[method-assign,assignment]
    _here.instead = instead
    try:
        yield
    finally:
        _here.instead = before
