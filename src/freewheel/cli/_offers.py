"""Actions that a plan waits for: told of, and triggered by a key or by an option."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ._output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from freewheel.core import EngineView, OfferedAction, PlanFutureView

__all__ = ["Actions", "Offers", "read_actions"]

Actions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--action",
        help="Trigger an action when the plan waits for it: NAME, or NAME@SECONDS for not before "
        "so many seconds have passed. Several times for several, in this order. In a terminal a "
        "key triggers each action, too.",
        metavar="NAME[@SECONDS]",
    ),
]

_KEYS = "123456789"


def read_actions(given: Sequence[str]) -> list[tuple[str, float]]:
    """Return the names and the times [s] of actions that are given as ``NAME@SECONDS``.

    Raises
    ------
    typer.BadParameter
        For a time that is none.
    """
    read = []
    for text in given:
        name, _, when = text.partition("@")
        try:
            read.append((name, float(when or 0)))
        except ValueError:
            message = f"{text!r} is no NAME@SECONDS"
            raise typer.BadParameter(message, param_hint="--action") from None
    return read


class Offers:
    """Tells which actions a plan waits for, and triggers them. For the main thread.

    Parameters
    ----------
    engine : EngineView
        Runs the plan.
    planned : sequence of (str, float)
        Those that are to be triggered by themselves, in order: name, and not before when [s].
    """

    def __init__(self, engine: EngineView, planned: Sequence[tuple[str, float]] = ()) -> None:
        self._engine = engine
        self._planned = list(planned)
        self._keys: dict[str, str] = {}  # key to name; a name keeps its key
        self._told: frozenset[str] = frozenset()
        self._terminal = False
        self._began = time.monotonic()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Take keys one by one, if there is a terminal."""
        self._terminal = self._stack.enter_context(_single_keys())
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back as it was."""
        self._stack.close()

    def look(self, future: PlanFutureView) -> None:
        """Tell what is new on offer, and trigger what is due or was pressed.

        While the plan waits in a queue there is nothing: what is on offer is another plan's.
        """
        if self._engine.current is not future:
            return
        offered = self._offered(future)
        self._tell(offered)
        if self._planned:
            name, when = self._planned[0]
            action = offered.get(name)
            # One that is on, and was not taken up yet, would be triggered for nothing.
            if (
                action is not None
                and (action.togglable or not action.is_on)
                and time.monotonic() - self._began >= when
            ):
                self._planned.pop(0)
                self._trigger(action)
        if self._terminal:
            for key in _pressed():
                if (name := self._keys.get(key, "")) in offered:
                    self._trigger(offered[name])

    def _offered(self, future: PlanFutureView) -> dict[str, OfferedAction]:
        """Return what is on offer by name; elsewhere without what others' tasks offer."""
        picture = self._engine.snapshot()
        actions = picture.actions
        if self._engine.is_elsewhere:
            ours = {task.name for task in picture.background if _is_of(task, future)}
            ours.add(future.plan_name)
            actions = tuple(action for action in actions if action.plan in ours)
        return {action.name: action for action in reversed(actions)}

    @property
    def left(self) -> tuple[str, ...]:
        """The planned actions that the plan has not waited for."""
        return tuple(name for name, _ in self._planned)

    def _tell(self, actions: dict[str, OfferedAction]) -> None:
        new = sorted(actions.keys() - self._told)
        self._told |= actions.keys()
        if new and self._planned and (due := self._planned[0][0]) not in actions:
            say(f"--action {due}: not on offer so far. The plan offers {', '.join(new)}.")
        for name in new:
            if len(self._keys) < len(_KEYS):
                self._keys[_KEYS[len(self._keys)]] = name
        if not new or any(name == new[0] for name, _ in self._planned):
            return  # what triggers by itself needs no explanation
        key_of = {name: key for key, name in self._keys.items()}
        for name in new:
            text = f" ({actions[name].description})" if actions[name].description else ""
            how = f"press {key_of[name]}, or " if self._terminal and name in key_of else ""
            say(f"The plan waits for the action {name}{text}: {how}give --action {name}.")

    def _trigger(self, action: OfferedAction) -> None:
        """Set the action; if it stays on and is set already, reset it."""
        plan = action.plan if self._engine.is_elsewhere else None
        with suppress(KeyError):  # it is not on offer any more
            if action.togglable and action.is_on:
                self._engine.release_action(action.name, plan=plan)
            else:
                self._engine.trigger_action(action.name, plan=plan)
            say(f"{action.name} triggered.")


def _is_of(task: Any, future: PlanFutureView) -> bool:
    """Tell whether a plan has started a task, by itself or by another task."""
    starter = task.parent
    while hasattr(starter, "parent"):
        starter = starter.parent
    return getattr(starter, "outcome", starter) is future.outcome


@contextmanager
def _single_keys() -> Iterator[bool]:
    """Have keys handed over as they are pressed; yields whether that can be done."""
    try:
        import termios
        import tty

        before = termios.tcgetattr(sys.stdin)
        # In the background of a shell, a change of the terminal would stop the process.
        front = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (ImportError, OSError, ValueError):
        yield False  # Windows, or no terminal
        return
    except Exception:
        yield False
        return
    if not front:
        yield False
        return
    tty.setcbreak(sys.stdin, termios.TCSADRAIN)  # Ctrl-C remains a signal
    try:
        yield True
    finally:
        with suppress(Exception):  # it is gone
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _pressed() -> str:
    """Return the keys that were pressed since the last call; never waits."""
    import select

    keys = ""
    with suppress(OSError, ValueError):
        while select.select([sys.stdin], [], [], 0)[0]:
            text = os.read(sys.stdin.fileno(), 64).decode(errors="replace")
            if not text:
                break
            keys += text
    return keys
