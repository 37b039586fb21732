"""An account of who did what with which device and when, kept by the devices themselves.

It is checked against the rules of holding and lending as the documentation has them, and asks the
engine's ledger of claims for nothing. A hold begins in it when the device hears of it, or the plan
or person that asked for it has it, and ends before that is given up: so it is never longer than the
engine's own.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from bluesky.utils import PlanHalt

from .devices import Device
from .statuses import Finished


class User:
    """A plan, a task or a person, as the account knows them."""

    def __init__(
        self,
        kind: Literal["plan", "task", "hand"],
        name: str,
        *,
        gives_way: bool = False,
        parent: User | None = None,
        lenders: Iterable[User] = (),
        claims: Iterable[Any] = (),
        preempts: bool = False,
    ) -> None:
        self.preempts = preempts  # the plan before it is parked for it, and lends what it has
        self.kind = kind
        self.name = name
        self.gives_way = gives_way  # it pauses for a plan that wins over it
        self.parent = parent
        self.lenders = tuple(lenders)  # those who held by hand when it was submitted
        self.claims = frozenset(claims)
        self.in_run = False
        self.thrown = False  # told to end, or of a failure
        self.over = False

    def __repr__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def may_borrow_from(self, holder: User, device: Any) -> bool:
        """Tell whether it may use a device of another, which is then on top of it."""
        if self.kind == "hand":
            # A plan lends while it is paused: `Account.stepped` holds it to that.
            return holder.kind != "hand" or holder in self.lenders
        if holder.kind == "hand":
            return holder in self.lenders
        if self.parent is holder and device in self.claims:
            return True
        if self.preempts and holder.kind == "plan":
            return True
        wins = self.kind == "plan" or holder.parent is self
        return holder.kind == "task" and wins and holder.gives_way


class Account:
    """Who holds what, as far as the devices, the plans and the people know. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        # Of each device: its users, each with why it is held, the one who borrowed last on top.
        self._frames: dict[Any, dict[User, Counter[Any]]] = {}
        self._users: weakref.WeakKeyDictionary[Any, User] = weakref.WeakKeyDictionary()
        self.violations: list[str] = []

    def blame(self, what: str, device: Any) -> None:
        frames = self._frames.get(device, {})
        held = ", ".join(f"{user} ({', '.join(map(str, why))})" for user, why in frames.items())
        self.violations.append(f"{what}; {device.name} is held by {held or 'nobody'}")

    # -- holds --------------------------------------------------------------------------------

    def begin(self, user: User, device: Any, why: Any, what: str = "holds") -> None:
        """Note a reason to hold a device; blame who does it inside somebody else's hold."""
        with self._lock:
            frames = self._frames.setdefault(device, {})
            self._check(user, device, what)
            frames.setdefault(user, Counter())[why] += 1

    def _check(self, user: User, device: Any, what: str) -> None:
        frames = self._frames.get(device, {})
        top = next(reversed(frames), None)
        if top is None or top is user:
            return
        if not user.may_borrow_from(top, device):
            self.blame(f"{user} {what} inside the hold of {top}", device)
        elif device.moves:
            self.blame(f"{user} {what} while {top} moves it", device)
        elif user in frames:  # it has taken back what it had lent
            frames[user] = frames.pop(user)

    def end(self, user: User, device: Any, why: Any, *, all_of_it: bool = False) -> None:
        """Note the end of a reason."""
        with self._lock:
            frames = self._frames.get(device, {})
            reasons = frames.get(user)
            if reasons is None:
                return
            reasons[why] = 0 if all_of_it else reasons[why] - 1
            frames[user] = +reasons
            if not frames[user]:
                del frames[user]

    def end_everywhere(self, user: User, *reasons: Any) -> None:
        with self._lock:
            for device in list(self._frames):
                for why in reasons:
                    self.end(user, device, why, all_of_it=True)

    @property
    def held(self) -> dict[str, list[str]]:
        """What is held now: device, and whom by."""
        with self._lock:
            return {
                device.name: [repr(user) for user in frames]
                for device, frames in self._frames.items()
                if frames
            }

    @contextmanager
    def claims(self, user: User) -> Iterator[None]:
        """Be a coroutine or a function that holds what it claims for as long as it runs."""
        for device in user.claims:
            self.begin(user, device, "claim", "claims")
        try:
            yield
        finally:
            self.ended(user)

    def began(self, user: User, task: Any) -> None:
        """Note that a task holds what it claims, whether its plan has come to run or not."""
        with self._lock:
            for device in () if user.over else user.claims:
                frames = self._frames.setdefault(device, {})
                top = next(reversed(frames), None)
                # Else somebody who wins over it has the device by now.
                if top in (None, user) or user.may_borrow_from(top, device):
                    frames.setdefault(user, Counter())["claim"] += 1
        task.future.add_done_callback(lambda _: self.ended(user))

    # -- plans --------------------------------------------------------------------------------

    def follow(self, user: User, plan: Any) -> Any:
        """Run a plan, and note what it knows itself of what it holds."""
        answer: Any = None
        error: BaseException | None = None
        try:
            while True:
                self._stepped(user, error)
                try:
                    msg = plan.send(answer) if error is None else plan.throw(error)
                except StopIteration as end:
                    return end.value
                self._before(user, msg)
                error = None
                try:
                    answer = yield msg
                except PlanHalt as raised:
                    error = raised
                except GeneratorExit:
                    user.thrown = True
                    plan.close()
                    raise
                except BaseException as raised:
                    error = raised
                else:
                    self._after(user, msg)
        finally:
            self.ended(user)

    def ended(self, user: User) -> None:
        """Note that a plan has no more to say; what it has staged it still has to unstage."""
        user.over = True
        self.end_everywhere(user, "claim", "run", "use")

    def _stepped(self, user: User, error: BaseException | None) -> None:
        task = asyncio.current_task()
        with self._lock:
            if task is not None:
                self._users[task] = user
            user.thrown = user.thrown or error is not None
            if user.thrown:
                return
            for device, frames in self._frames.items():
                if user not in frames:
                    continue
                top = next(reversed(frames))
                above = list(frames)[list(frames).index(user) :][1:2]
                if above and above[0].parent is user:
                    continue  # a task of its own has it, and that one waits for the hand
                is_lent = top.kind == "hand" and top not in user.lenders
                if is_lent or (top.kind == user.kind == "plan" and top is not user):
                    self.blame(f"{user} goes on while {top} has what it lends", device)

    def _before(self, user: User, msg: Any) -> None:
        if msg.command == "close_run":
            user.in_run = False
            self.end_everywhere(user, "run")
        elif msg.command == "release":
            for device in msg.args:
                self.end(user, device, "claim")
                self.end(user, device, "use", all_of_it=True)

    def _after(self, user: User, msg: Any) -> None:
        if msg.command == "open_run":
            user.in_run = True
        elif msg.command == "claim":
            for device in msg.args:
                self.begin(user, device, "claim", "claims")

    # -- devices ------------------------------------------------------------------------------

    def acting(self) -> User | None:
        """Return whose plan it is that runs here."""
        task = asyncio.current_task()
        return None if task is None else self._users.get(task)

    def acts(self, user: User, device: Any, what: str, why: Any) -> None:
        """Note that a device is told something, for which it is held for as long as ``why``."""
        with self._lock:
            self.begin(user, device, why, what)
            if user.kind == "task" and not user.over:
                self.begin(user, device, "use")
            elif user.in_run and not user.over:
                self.begin(user, device, "run")

    def stops(self, user: User | None, device: Any) -> None:
        """Note a stop: what somebody else moves by now is not to be stopped."""
        with self._lock:
            frames = self._frames.get(device, {})
            top = next(reversed(frames), None)
            if device.moves and user is not None and top not in (None, user):
                self.blame(f"{user} stops what {top} moves", device)


class AccountedDevice(Device):
    """A device that tells the account what is done with it, and by whom.

    What a plan does is known by the task of the loop that runs the plan; what a person moves, by
    the value: ``(user, seconds)``, or ``seconds`` alone in a plan.
    """

    def __init__(self, name: str, account: Account) -> None:
        super().__init__(name)
        self.account = account
        self.stager: User | None = None
        self._given_up_by: list[User] = []

    def _begin(self, user: User | None, what: str, seconds: float) -> Finished:
        status = Finished(done=False)
        if user is None:
            self.account.blame(f"somebody unknown {what}", self)
            status.finish()
            return status
        self.account.acts(user, self, what, status)

        def over() -> None:
            if not status.done:
                if what == "moves":
                    self.moves.remove(status)
                self.account.end(user, self, status)
                status.finish()

        status.end = over  # type: ignore[attr-defined]
        if what == "moves":
            self.moves.append(status)
        if seconds:
            asyncio.get_running_loop().call_later(seconds, over)
        else:
            over()
        return status

    def set(self, value: Any) -> Finished:
        by_hand = isinstance(value, tuple)
        user, seconds = value if by_hand else (self.account.acting(), value)
        self.did.append(("set", user))
        return self._begin(user, "moves", seconds)

    def trigger(self) -> Finished:
        self.did.append("trigger")
        return self._begin(self.account.acting(), "triggers", 0.0005)

    def stage(self) -> list[Any]:
        # Who lent it and gets it back has it staged again by the engine.
        user = self.account.acting() or self._given_up_by.pop()
        self.account.acts(user, self, "stages", "stage")
        if self.staged:
            self.account.blame(f"{user} stages what {self.stager} has staged", self)
        self.stager = user
        return super().stage()

    def unstage(self) -> list[Any]:
        user, by = self.stager, self.account.acting()
        if by is None and user is not None:
            self._given_up_by.append(user)
        if by is not None and by is not user and not by.preempts:
            self.account.blame(f"{by} unstages what {user} has staged", self)
        self.stager = None
        if user is not None:
            self.account.end(user, self, "stage")
        return super().unstage()

    def stop(self, success: bool = True) -> None:
        self.did.append("stop")
        self.account.stops(self.account.acting(), self)
        for move in list(self.moves):
            move.end()  # type: ignore[attr-defined]
