"""The progress of the plans of one engine, and of the moves that they wait for."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.utils import IllegalMessageSequence

from freewheel.core import EngineState, Progress, ProgressScope

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.utils import Msg

    from ._bluesky import EngineCore
    from ._progress_board import ProgressBoard

__all__ = ["PlanProgress"]

#: How many scopes a plan may have open.
_MAX_OPEN: Final = 1000
_UPDATE: Final = frozenset(
    "current initial target unit precision fraction time_elapsed time_remaining".split()
)


@final
class PlanProgress:
    """The progress of the plans of one engine: its commands, and the moves that they wait for.

    It runs on the engine's loop, unless it is said otherwise.

    Parameters
    ----------
    board : ProgressBoard
        The household's.
    core : EngineCore
        The engine.
    owner : callable
        Returns the name of the plan, or of the task that it belongs to.
    background : bool
        Whether it is the engine of background plans.
    """

    def __init__(
        self,
        board: ProgressBoard,
        core: EngineCore,
        owner: Callable[[], str],
        *,
        background: bool,
    ) -> None:
        self._board = board
        self._core = core
        self._owner = owner
        self._background = background
        self.number = board.add(self)
        # Guarded by the board's lock. The scopes in the order in which they were opened.
        self._scopes: dict[str, ProgressScope] = {}
        self._moves: tuple[ProgressScope, ...] = ()
        # What the plan waits for and nobody follows yet. Written on the loop, read by all.
        self._unfollowed: Any = None
        core.end_callbacks.append(self.end_of_plan)
        core.parts.append(self)
        core.waiting_observers.append(self._waiting_for)

    # -- commands -----------------------------------------------------------------------------

    async def declare_progress(self, msg: Msg) -> ProgressScope:
        """Open a scope: ``Msg("declare_progress", name=..., parent=None)``.

        With ``nest=True`` it is opened in the scope that was opened last, and gets a number if
        its name is taken.
        """
        name, parent = msg.kwargs["name"], msg.kwargs.get("parent")
        if msg.kwargs.get("nest"):
            name, parent = self._free_name(str(name)), self._innermost()
        return self._open(str(name), self._parent(name, parent))

    async def update_progress(self, msg: Msg) -> None:
        """Update or end a scope: ``Msg("update_progress", name=..., current=..., done=False)``."""
        told = dict(msg.kwargs)
        scope = self._find(told.pop("name"))
        done = told.pop("done", False)
        scope.update(**told)
        if done:
            self._close(scope, complete=True)
        else:
            self._board.changed()

    async def monitor_progress(self, msg: Msg) -> ProgressScope:
        """Have a scope follow a status: ``Msg("monitor_progress", None, status, name=...)``."""
        (status,) = msg.args
        if not callable(getattr(status, "add_callback", None)):
            raise TypeError(f"monitor_progress follows a status, not {status!r}.")
        name = msg.kwargs.get("name") or self._free_name(_name_of(status))
        scope = self._open(str(name), self._parent(name, msg.kwargs.get("parent")))
        self._follow(scope, status)
        status.add_callback(partial(self._followed, scope))
        return scope

    def _followed(self, scope: ProgressScope, status: Any) -> None:
        # In the thread in which the status ends.
        self._core.call_on_loop(
            partial(self._close, scope, complete=bool(getattr(status, "success", True)))
        )

    # -- scopes -------------------------------------------------------------------------------

    def _open(self, name: str, parent: ProgressScope | None) -> ProgressScope:
        if name in self._scopes:
            raise IllegalMessageSequence(
                f"The progress scope {name!r} of plan {self._owner()!r} is already open. End it "
                "with update_progress(name, done=True), or choose another name."
            )
        if len(self._scopes) >= _MAX_OPEN:
            raise IllegalMessageSequence(
                f"The plan {self._owner()!r} has {_MAX_OPEN} progress scopes open. End each with "
                "update_progress(name, done=True)."
            )
        scope = ProgressScope(name, parent)
        with self._board.lock:
            self._scopes[name] = scope
        self._tell_hook()
        self._board.changed()
        return scope

    def _parent(self, name: Any, parent: Any) -> ProgressScope | None:
        if parent is None or isinstance(parent, ProgressScope):
            return parent
        if parent not in self._scopes:
            raise IllegalMessageSequence(
                f"The parent {parent!r} of the progress scope {name!r} does not exist. Open are: "
                f"{self._names()}."
            )
        return self._scopes[parent]

    def _find(self, name: Any) -> ProgressScope:
        if isinstance(name, ProgressScope):
            return name
        if name not in self._scopes:
            raise IllegalMessageSequence(
                f"No progress status named {name!r} is open in plan {self._owner()!r}. Open are: "
                f"{self._names()}. Declare it first, with declare_progress."
            )
        return self._scopes[name]

    def _names(self) -> str:
        return ", ".join(map(repr, self._scopes)) or "none"

    def _free_name(self, name: str) -> str:
        if name not in self._scopes:
            return name
        names = (f"{name} {number}" for number in itertools.count(2))
        return next(free for free in names if free not in self._scopes)

    def _innermost(self) -> ProgressScope | None:
        return next(reversed(self._scopes.values()), None)

    def _close(self, scope: ProgressScope, *, complete: bool) -> None:
        """End a scope, and those that are nested in it."""
        if self._scopes.get(scope.name) is not scope:
            return
        for inner in [inner for inner in self._scopes.values() if inner.parent is scope]:
            self._close(inner, complete=complete)
        with self._board.lock:
            del self._scopes[scope.name]
        scope.finish(complete=complete)
        self._board.ended([self._picture_of(scope)])
        self._tell_hook()

    def end_of_plan(self) -> None:
        """End what the plan has left open."""
        self._waiting_for(None)
        if self._scopes:
            complete = self._core.under_way.went_well
            for scope in [scope for scope in self._scopes.values() if scope.parent is None]:
                self._close(scope, complete=complete)
            for scope in list(self._scopes.values()):  # whose parents had ended before them
                self._close(scope, complete=complete)
        self._board.flush()

    def lay_aside(self) -> dict[str, ProgressScope]:
        """Hand out the open scopes of a plan that is parked: nobody is shown them meanwhile."""
        self._waiting_for(None)
        with self._board.lock:
            scopes, self._scopes = self._scopes, {}
        self._board.changed()
        return scopes

    def take_up(self, laid: dict[str, ProgressScope]) -> None:
        """Keep them again."""
        with self._board.lock:
            self._scopes = laid
        self._board.changed()

    def _tell_hook(self) -> None:
        """Serve the hook that bluesky will have: all open scopes anew, or ``None``."""
        hook = self._core.engine.progress_hook
        if hook is not None:
            hook(None if not self._scopes else list(self._scopes.values()))

    # -- moves --------------------------------------------------------------------------------

    def _waiting_for(self, statuses: Any) -> None:
        """Note what the plan waits for from now on; ``None`` when the wait is over."""
        if statuses is not None:
            self._unfollowed = statuses
            if self._board.is_watched():
                self._follow_moves()
            return
        self._unfollowed = None
        if self._moves:
            with self._board.lock:
                moves, self._moves = self._moves, ()
            for move in moves:
                move.finish(complete=self._core.states.now is EngineState.RUNNING)
            self._board.ended(map(self._picture_of, moves))

    def _follow_moves(self) -> None:
        statuses, self._unfollowed = self._unfollowed, None
        followed = [s for s in statuses or () if hasattr(s, "watch") and not s.done]
        if not followed:
            return
        moves = tuple(ProgressScope(_name_of(status), kind="device") for status in followed)
        with self._board.lock:
            self._moves = moves
        for move, status in zip(moves, followed, strict=True):
            self._follow(move, status)
        self._board.changed()

    def _follow(self, scope: ProgressScope, status: Any) -> None:
        def update(*args: Any, **told: Any) -> None:
            # In whichever thread the device tells.
            if told.get("name") and scope.kind == "device":
                scope.name = str(told["name"])
            scope.update(**{key: value for key, value in told.items() if key in _UPDATE})
            self._board.changed()

        if hasattr(status, "watch") and not status.done:
            status.watch(update)

    # -- pictures -----------------------------------------------------------------------------

    def picture(self) -> list[Progress]:
        """Return how everything stands; from any thread."""
        if self._unfollowed is not None:
            self._core.call_on_loop(self._follow_moves)
        with self._board.lock:
            scopes = (*self._scopes.values(), *self._moves)
        # What is nested comes right after what it is nested in.
        return [self._picture_of(scope) for scope in _in_order(scopes)]

    def _picture_of(self, scope: ProgressScope) -> Progress:
        return scope.picture(self._owner(), background=self._background)


def _in_order(scopes: tuple[ProgressScope, ...]) -> list[ProgressScope]:
    ordered: list[ProgressScope] = []

    def add(scope: ProgressScope) -> None:
        ordered.append(scope)
        for inner in scopes:
            if inner.parent is scope:
                add(inner)

    for scope in scopes:
        if scope.parent is None or scope.parent not in scopes:
            add(scope)
    return ordered


def _name_of(status: Any) -> str:
    for thing in (getattr(status, "device", None), getattr(status, "obj", None), status):
        name = getattr(thing, "name", None)
        if isinstance(name, str) and name:
            return name
    return "move"
