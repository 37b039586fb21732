"""Telling how far a plan has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.utils import Msg, ensure_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bluesky.utils import MsgGenerator

    from freewheel.core import ProgressScope

__all__ = ["declare_progress", "monitor_progress", "run_progress", "update_progress"]


def declare_progress(
    name: str, *, parent: str | ProgressScope | None = None
) -> MsgGenerator[ProgressScope]:
    """Open a scope of progress; the engine ends it with the plan, however that ends.

    Parameters
    ----------
    name : str
        Its name, which no other open scope of the plan has.
    parent : str or ProgressScope, optional
        The open scope that it is nested in, and ends with.

    Yields
    ------
    Msg
        ``declare_progress``

    Returns
    -------
    ProgressScope
        The scope; it can be watched as a status can.

    Raises
    ------
    IllegalMessageSequence
        If the name is taken, or there is no such parent.
    """
    scope: ProgressScope = yield Msg("declare_progress", None, name=name, parent=parent)
    return scope


def update_progress(
    name: str | ProgressScope,
    *,
    current: Any = None,
    initial: Any = None,
    target: Any = None,
    unit: str | None = None,
    precision: int | None = None,
    fraction: float | None = None,
    time_elapsed: float | None = None,
    time_remaining: float | None = None,
    done: bool = False,
) -> MsgGenerator[None]:
    """Tell how far a scope has come; what is left out stays as it was.

    Parameters
    ----------
    name : str or ProgressScope
        The scope.
    current, initial, target : float or sequence of float, optional
        Where it is, where it began and where it ends, in `unit`.
    unit : str, optional
        Such as ``"points"``.
    precision : int, optional
        Decimals to show the numbers with.
    fraction : float, optional
        From 0 to 1, in place of the three.
    time_elapsed, time_remaining : float, optional
        Seconds; reckoned by the scope if left out.
    done : bool
        Whether it has come to its end; it is at 100 % then.

    Yields
    ------
    Msg
        ``update_progress``

    Raises
    ------
    IllegalMessageSequence
        If no such scope is open.
    """
    told = {
        "current": current,
        "initial": initial,
        "target": target,
        "unit": unit,
        "precision": precision,
        "fraction": fraction,
        "time_elapsed": time_elapsed,
        "time_remaining": time_remaining,
    }
    given = {key: value for key, value in told.items() if value is not None}
    yield Msg("update_progress", None, name=name, done=done, **given)


def monitor_progress(
    status: Any, *, name: str | None = None, parent: str | ProgressScope | None = None
) -> MsgGenerator[ProgressScope]:
    """Have a new scope follow a status that the plan does not wait for, until it ends.

    What a plan waits for is followed without it.

    Parameters
    ----------
    status : Status
        What a device gave; with a method ``watch`` it tells how far it has come.
    name : str, optional
        The scope's name; by default the device's, if the status knows it.
    parent : str or ProgressScope, optional
        The open scope that it is nested in.

    Yields
    ------
    Msg
        ``monitor_progress``

    Returns
    -------
    ProgressScope
        The scope.

    Raises
    ------
    IllegalMessageSequence
        If the name is taken, or there is no such parent.
    """
    scope: ProgressScope = yield Msg("monitor_progress", None, status, name=name, parent=parent)
    return scope


class _Runs:
    """Counts the points of the open runs of a plan."""

    def __init__(self) -> None:
        self._runs: dict[Any, tuple[ProgressScope, int | None]] = {}
        self._streams: dict[Any, str] = {}
        self._taken: dict[Any, int] = {}
        self.after: dict[str, Callable[[Msg], MsgGenerator[None]]] = {
            "open_run": self._opened,
            "create": self._created,
            "save": self._saved,
            "acquire": self._acquired,
            "close_run": self._closed,
        }

    def _opened(self, msg: Msg) -> MsgGenerator[None]:
        if "num_points" not in msg.kwargs:
            return
        number = msg.kwargs["num_points"]
        target = number if isinstance(number, int) and number > 0 else None
        name = str(msg.kwargs.get("plan_name") or "run")
        scope = yield Msg("declare_progress", None, name=name, nest=True)
        self._runs[msg.run], self._taken[msg.run] = (scope, target), 0
        yield from self._tell(msg.run)

    def _created(self, msg: Msg) -> MsgGenerator[None]:
        if msg.run in self._runs:
            self._streams[msg.run] = str(
                msg.args[0] if msg.args else msg.kwargs.get("name", "primary")
            )
        yield from ()

    def _saved(self, msg: Msg) -> MsgGenerator[None]:
        if self._streams.pop(msg.run, "") == "primary":
            yield from self._count(msg.run)

    def _acquired(self, msg: Msg) -> MsgGenerator[None]:
        if msg.kwargs.get("name", "primary") == "primary":
            yield from self._count(msg.run)

    def _count(self, run: Any) -> MsgGenerator[None]:
        if run in self._runs:
            self._taken[run] += 1
            yield from self._tell(run)

    def _tell(self, run: Any) -> MsgGenerator[None]:
        scope, target = self._runs[run]
        yield from update_progress(
            scope, current=self._taken[run], initial=0, target=target, unit="points"
        )

    def _closed(self, msg: Msg) -> MsgGenerator[None]:
        if msg.run in self._runs:
            scope, target = self._runs.pop(msg.run)
            taken = self._taken.pop(msg.run)
            if target is None or taken >= target:
                yield from update_progress(scope, done=True)
            else:  # it ended early: that is no 100 %
                scope.finish(complete=False)
                yield from update_progress(scope, done=True)


def run_progress(plan: Any) -> Generator[Msg, Any, Any]:
    """Give the runs of a plan progress, from the ``num_points`` in their metadata.

    A preprocessor: with ``RE.preprocessors.append(run_progress)`` bluesky's ``count``, ``scan``,
    ``grid_scan`` and the like show how far they have come, without any change in them, also in
    the background. A scope is opened for each run, nested in those that the plan has opened
    itself; the events of its stream ``primary`` are counted.

    Parameters
    ----------
    plan : generator or iterable of Msg
        The plan.

    Yields
    ------
    Msg
        Those of the plan, with ``declare_progress`` and ``update_progress`` among them.

    Returns
    -------
    object
        What the plan returns.
    """
    inner = ensure_generator(plan)
    after = _Runs().after
    response: Any = None
    error: BaseException | None = None
    while True:
        try:
            msg = inner.send(response) if error is None else inner.throw(error)
        except StopIteration as end:
            return end.value
        error = None
        try:
            response = yield msg
            if msg.command in after:
                yield from after[msg.command](msg)
        except GeneratorExit:  # a halt too
            inner.close()
            raise
        except BaseException as raised:
            error = raised


#: Child engines apply preprocessors that say so.
run_progress.in_background = True  # type: ignore[attr-defined]
