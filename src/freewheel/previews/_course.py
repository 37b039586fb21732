"""One plan on its course through a preview: its messages, its answers, its time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.utils import FailedStatus, Msg, RequestStop, ensure_generator

from ._clock import Clock, ForeseenStatus
from ._cycle import BEFORE, Cycle
from ._surroundings import show

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._account import Account
    from ._budget import Budget
    from ._model import Model

__all__ = ["Course", "Group", "IgnoredMessage"]

#: Messages that a plan may send yet when it was told to stop.
_LAST: Final = 10_000


@final
class Group:
    """What was started under one name: when all of it is done, and what of it fails."""

    __slots__ = ("ends", "error", "fails")

    def __init__(self) -> None:
        self.ends = 0.0
        self.fails = math.inf
        self.error: Exception | None = None


class IgnoredMessage(Exception):  # noqa: N818 - it stops the plan, and is no error of ours
    """The plan cannot be followed further."""


@final
class Course:
    """One plan that is followed. Of one thread.

    Parameters
    ----------
    plan : iterable of Msg
        The plan.
    name : str
        Its name.
    begin : float
        When it begins, in the preview's time [s].
    account : Account
        Where its deeds are written down.
    budget : Budget
        What the whole preview may use up.

    Attributes
    ----------
    handlers : mapping of str to callable
        What carries out a message, by command.
    over : bool
        Whether it has ended.
    value : object
        What it returned.
    error : BaseException or None
        What it raised.
    is_endless : bool
        Whether it was seen to repeat itself without an end.
    """

    def __init__(
        self, plan: Any, name: str, begin: float, account: Account, budget: Budget
    ) -> None:
        self.name = name
        self.clock = Clock(begin)
        self.account = account
        self.budget = budget
        self.handlers: Mapping[str, Callable[[Msg], Any]] = {}
        self.unknown: Callable[[Msg], Any] = _refuse
        self.groups: dict[Any, Group] = {}
        self.until = math.inf  # how far it may go before the others do
        self.over = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_endless = False
        self.is_cut = False  # the budget was used up before it ended
        self.holds: dict[int, Any] = {}  # the devices that it has needed, by id
        #: Those that nobody else was seen to have, by id and by what they are to do.
        self.ready: dict[tuple[int, str], Model] = {}
        self.waits_for: Callable[[], bool] | None = None  # told when it may go on
        self.generator = ensure_generator(plan)
        #: Looks whether it repeats itself; where nobody waits for its end that does not matter.
        self.cycle = Cycle(self.generator)
        self.is_watched = True
        self.is_main = False  # the plan that is previewed, and no task of it
        self._answer: Any = None
        self._failure: BaseException | None = None
        self._stops_at: int | None = None

    # -- going on -----------------------------------------------------------------------------

    def run(self, until: float = math.inf) -> None:
        """Follow the plan until it ends, waits for another one, or is past a time."""
        show(self.clock)
        clock, budget, handlers = self.clock, self.budget, self.handlers
        generator, answer = self.generator, self._answer
        failure, self._failure = self._failure, None
        self.waits_for = None
        self.until = until
        try:
            while True:
                if failure is None:
                    msg = generator.send(answer)
                else:
                    failure, msg = None, generator.throw(failure)
                budget.messages = messages = budget.messages + 1
                if messages >= budget.look_at and (failure := self._look(budget)):
                    continue
                try:
                    handler = handlers.get(msg.command)
                    answer = self.unknown(msg) if handler is None else handler(msg)
                except IgnoredMessage:
                    raise
                except Exception as error:
                    failure = error if isinstance(msg, Msg) else _no_message(msg)
                if clock.now > self.until or self.waits_for is not None:
                    break
        except StopIteration as end:
            self._end(end.value, None)
        except IgnoredMessage:
            self._close()
        except KeyboardInterrupt:
            self._close()
            raise
        except BaseException as error:
            self._end(None, error)
        self._answer, self._failure = answer, failure

    def answer(self, value: Any) -> None:
        """Answer the message that the plan waits for another plan in."""
        self._answer = value

    def fail(self, error: BaseException) -> None:
        """Have an error raised where the plan is."""
        self._failure = error

    def stop(self) -> None:
        """Tell the plan to end, as a stop of the engine does: its clean-up is followed, too."""
        if not self.over and self._stops_at is None:
            self._failure = self.stopping()
            self.waits_for = None

    def stopping(self) -> RequestStop:
        """Return what tells the plan to end; it may send so many messages yet."""
        self._stops_at = self.budget.messages + _LAST
        self.budget.stop_within(_LAST)
        return RequestStop()

    def look_for_end(self) -> None:
        """See whether the plan repeats itself for ever, where that is asked; it is told to end."""
        if self.budget.messages >= BEFORE and self.is_watched and self._stops_at is None:
            if self.cycle.is_closed(self.budget.messages):
                self.is_endless = True
                if self.cycle.is_timed:
                    self.account.guess(f"that {self.name} has no end: it looks at the clock itself")
                raise self.stopping()

    def _look(self, budget: Budget) -> RequestStop | None:
        """See now and then whether there is any budget left; return what is to be raised."""
        budget.renew()
        if budget.is_given_up:
            raise IgnoredMessage
        if self._stops_at is not None:
            if budget.messages >= self._stops_at:
                raise IgnoredMessage
        elif budget.is_used_up:
            self.is_cut = True
            return self.stopping()
        return None

    def carry_out(self, plan: Any) -> Any:
        """Carry out messages within a message, and return what their plan returns."""
        answer: Any = None
        failure: BaseException | None = None
        while True:
            try:
                msg = plan.send(answer) if failure is None else plan.throw(failure)
            except StopIteration as end:
                return end.value
            failure = None
            self.budget.messages += 1
            if self.budget.messages >= self.budget.look_at and (failure := self._look(self.budget)):
                continue
            handler = self.handlers.get(msg.command, self.unknown)
            try:
                answer = handler(msg)
            except IgnoredMessage:
                raise
            except Exception as error:
                failure = error

    def _end(self, value: Any, error: BaseException | None) -> None:
        self.over, self.value = True, value
        if not isinstance(error, (RequestStop, type(None))):
            self.error = error

    def _close(self) -> None:
        self.over = True
        try:
            self.generator.close()
        except Exception as error:
            # A plan that goes on when it is closed: Python says so, and lets it go.
            self.account.guess(f"how {self.name} ends: {error!r}")

    # -- time ---------------------------------------------------------------------------------

    def begin(self, group: Any, seconds: float, error: Exception | None = None) -> ForeseenStatus:
        """Start something that takes a time, and return its status."""
        ends = self.clock.now + seconds
        entry = self.groups.get(group)
        if entry is None:
            entry = self.groups[group] = Group()
            if len(self.groups) > 1000:
                self._purge()
        if ends > entry.ends:
            entry.ends = ends
        if error is not None and ends < entry.fails:
            entry.fails, entry.error = ends, error
        return ForeseenStatus(self.clock, ends, error)

    def _purge(self) -> None:
        """Forget groups that nobody has waited for and that are done."""
        now = self.clock.now
        for name in [name for name, group in self.groups.items() if group.ends <= now]:
            if self.groups[name].error is None:
                del self.groups[name]

    def take_failure(self) -> None:
        """Raise what has failed meanwhile without being waited for."""
        for name, group in self.groups.items():
            if group.error is not None and group.fails <= self.clock.now:
                del self.groups[name]
                raise failed(self.clock, group.error)


def failed(clock: Clock, cause: Exception) -> FailedStatus:
    """Return what a plan is told of a device that failed."""
    error = FailedStatus(ForeseenStatus(clock, clock.now, cause))
    error.__cause__ = cause
    return error


def _refuse(msg: Msg) -> Any:
    raise KeyError(msg.command)


def _no_message(thing: Any) -> TypeError:
    return TypeError(f"the plan yields {thing!r}, which is no message")
