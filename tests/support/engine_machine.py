"""A property-based state machine over an engine's public calls, here or elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import warnings
from concurrent.futures import CancelledError
from contextvars import Context
from typing import Any

from bluesky.preprocessors import finalize_wrapper
from bluesky.run_engine import TransitionError
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import Msg, RunEngineInterrupted, single_gen
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from ophyd import Signal

from doubles import USES, Account, AccountedDevice, User
from freewheel import Action, PlanCall, PlanStatus, ResourceConflictError, RunEngine
from freewheel.background import BackgroundWarning
from freewheel.plan_stubs import (
    background,
    claim,
    release,
    wait_any,
    wait_for_actions,
    wait_for_background,
)

EXAMPLES = int(os.environ.get("FREEWHEEL_EXAMPLES", "200"))
STEPS = int(os.environ.get("FREEWHEEL_STEPS", "20"))
T = 20  # seconds; what must end at all ends in milliseconds


class PlanFailureError(Exception):
    """What a plan of this machine raises when it is told to."""


class Task:
    """A background plan that takes runs of its own, and everything that was seen of it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.starts = self.clean_ups = 0
        self.handle: Any = None

    def plan(self) -> Any:
        self.starts += 1
        try:
            for _ in range(2):
                yield Msg("open_run")
                yield Msg("checkpoint")
                yield Msg("sleep", None, 600 if self.kind == "endless" else 0.0005)
                if self.kind == "failing":
                    raise PlanFailureError
                yield Msg("checkpoint")
                yield Msg("close_run")
        finally:
            self.clean_ups += 1


TASKS = st.sampled_from(["short", "endless", "failing"])


class Holds:
    """What a plan does with a device, and whom it lends it to."""

    def __init__(
        self, account: Account, user: User, use: str, device: AccountedDevice, lends: str
    ) -> None:
        self.account = account
        self.user = user
        self._use = use
        self._device = device
        self._lends = lends  # what becomes of the task that it lends to, if there is one

    def plan(self) -> Any:
        use, device = USES[self._use], self._device
        if not self._lends:
            yield from use(device)
            return
        yield from claim(device)
        user = User(
            "task", "borrower", gives_way=self._lends == "pause", parent=self.user, claims=[device]
        )
        task = yield from background(
            self.account.follow(user, use(device)), claims=device, on_conflict=self._lends
        )
        self.account.began(user, task)
        yield Msg("sleep", None, 0.001)
        with contextlib.suppress(ResourceConflictError):
            yield Msg("trigger", device, group="back")  # taken back
            yield Msg("wait", None, group="back")
        yield from release(device)
        yield from wait_for_background(task)


class Lock:
    """A signal for an interlock, which tells in the thread that changes it."""

    name = "lock"
    connected = True

    def __init__(self) -> None:
        self.value = False
        self.told: Any = None

    def get(self) -> bool:
        return self.value

    def subscribe(self, callback: Any) -> None:
        self.told = callback

    def clear_sub(self, callback: Any) -> None:
        self.told = None

    def put(self, value: bool) -> None:
        self.value = value
        self.told(value=value)


class Turn:
    """One plan that was given to the engine, and everything that was seen of it."""

    def __init__(
        self,
        kind: str,
        action: Action,
        tasks: list[Task] | None = None,
        *,
        holds: Holds | None = None,
    ) -> None:
        self.kind = kind
        self.holds = holds
        self.tasks = tasks or []
        self.action = action
        self.starts = self.ends = self.clean_ups = 0
        self.futures: list[Any] = []
        self.outcome: Any = None
        self.asked_to_end = False

    def plan(self) -> Any:
        self.starts += 1
        try:
            if self.holds is not None:
                yield from self.holds.plan()
            else:
                yield Msg("open_run")
                yield Msg("checkpoint")
                yield from getattr(self, "_" + self.kind)()
                yield Msg("close_run")
            self.ends += 1
            return self
        finally:
            self.clean_ups += 1

    def is_parked(self) -> bool:
        return any(future.status is PlanStatus.PARKED for future in self.futures)

    def _quick(self) -> Any:
        yield Msg("null")

    def _long(self) -> Any:
        for _ in range(5):
            yield Msg("checkpoint")
            assert not self.is_parked(), "it was parked"
            yield Msg("sleep", None, 0.0005)

    def _waiting(self) -> Any:
        changed = yield from wait_for_actions(self.action.event_map, timeout=None)
        assert changed == (self.action.name, self.action.latch)
        self.action.latch.reset()

    def _pausing(self) -> Any:
        yield Msg("pause")
        yield Msg("null")

    def _failing(self) -> Any:
        yield Msg("null")
        raise PlanFailureError

    def _cleaning(self) -> Any:
        def clean_up() -> Any:
            yield Msg("null")
            yield Msg("sleep", None, 0.001)

        yield from finalize_wrapper(single_gen(Msg("sleep", None, 0.001)), clean_up)

    def _owning(self) -> Any:
        for task in self.tasks:
            task.handle = yield from background(task.plan())
        yield Msg("checkpoint")
        if any(task.kind == "short" for task in self.tasks):
            handles = [task.handle for task in self.tasks]
            first = yield from wait_any(*handles)
            assert first in handles
            assert first.done
        for task in self.tasks:
            if task.kind != "endless":
                yield from wait_for_background(task.handle)
            else:
                yield Msg("cancel_background", None, task.handle.name)

    def _no_checkpoint(self) -> Any:
        yield Msg("clear_checkpoint")
        yield Msg("sleep", None, 0.002)


USE = st.sampled_from(sorted(USES))
LENT = st.sampled_from(["", "", "cancel", "pause", "error"])
DEVICES = st.integers(0, 1)
KINDS = ["quick", "long", "waiting", "pausing", "failing", "cleaning", "no_checkpoint"]


class EngineMachine(RuleBasedStateMachine):
    """Drives an engine, and checks after each example that nothing was lost."""

    kind_of_loop = "asyncio"
    make_turn: type[Turn] = Turn
    held_by = "held by hand"  # what is said of a queue that is held without a reason

    def __init__(self) -> None:
        super().__init__()
        warnings.simplefilter("ignore", BackgroundWarning)  # who was cancelled for whom
        if self.kind_of_loop == "asyncio":
            self.loop = asyncio.SelectorEventLoop()
        else:
            import uvloop

            self.loop = uvloop.new_event_loop()
        self.here = RunEngine(loop=self.loop)
        self.account = Account()
        self.devices = [self.make_device(n) for n in range(2)]
        self.engine = self.enter()
        self.action = Action(name="go")
        self.turns: list[Turn] = []
        self.tasks: list[Task] = []
        self.controls: list[Any] = []
        self.documents: list[str] = []
        self.mode = "cancel"  # what an interruption does to the queue
        self.engine.subscribe(lambda name, doc: self.documents.append(name))
        self.hands, self.person = contextlib.ExitStack(), Context()
        self.moves: list[Any] = []
        self.borrowers: list[Any] = []
        self.started: list[Any] = []
        self.here.events.plan_started.connect(self.started.append)
        self.quiet: int | None = None  # so many had started when it was held, and nothing ran
        self.lock = Lock()
        self.here.interlocks.add("lock", self.lock, devices=self.devices[0], verbs="set")
        self.periodic: list[Any] = []
        self.periods: list[Task] = []
        self.beam = Signal(name="beam", value=0)
        self.here.install_suspender(SuspendBoolHigh(self.beam))

    # -- what is another engine's otherwise ---------------------------------------------------

    def make_device(self, number: int) -> AccountedDevice:
        return AccountedDevice(f"d{number}", self.account)

    def enter(self) -> Any:
        """Return the view of the engine that is driven."""
        return self.here

    def leave(self) -> None:
        self.here.close()
        self.loop.close()

    def asked(self, plan: Any) -> Any:
        """Return what is given to the engine for a plan function without arguments."""
        return plan()

    def call_of(self, plan: Any) -> Any:
        """Return the same as a call that can be made again."""
        return PlanCall(plan)

    def turn_of(self, future: Any) -> Turn:
        """Return the turn that a future of such a call is about."""
        turn: Turn = future.call.function.__self__
        return turn

    def hold_of(self, device: AccountedDevice) -> Any:
        """Return what somebody holds a device by, who lends it to none of these plans."""
        return self.engine.claims.hold(device)

    def by_hand(self, device: AccountedDevice, user: User, seconds: float) -> tuple[Any, Any]:
        """Return the device and the value that move it by hand."""
        return device, (user, seconds)

    def is_failure(self, error: Any) -> bool:
        return isinstance(error, PlanFailureError)

    def is_same(self, one: Any, other: Any) -> bool:
        return one is other

    def was_refused(self, turn: Turn, error: Any) -> bool:
        """Tell whether the plan never came to the engine."""
        return False

    # -- how it is called ---------------------------------------------------------------------

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the engine; nothing that it offers may hold the caller."""
        box: list[Any] = []

        def run() -> None:
            try:
                box.append((function(*args, **kwargs), None))
            except BaseException as error:
                box.append((None, error))

        worker = threading.Thread(target=run)
        worker.start()
        worker.join(T)
        assert not worker.is_alive(), f"{function} blocks"
        answer, error = box[0]
        if error is not None:
            raise error
        return answer

    def pending(self) -> list[Turn]:
        return [turn for turn in self.turns if not turn.outcome.done()]

    # -- what a user can do ------------------------------------------------------------------

    @rule(kind=st.sampled_from(KINDS))
    def start(self, kind: str) -> None:
        turn = self.make_turn(kind, self.action)
        future = self.call(self.engine, self.asked(turn.plan))
        turn.futures.append(future)
        turn.outcome = future.outcome
        self.turns.append(turn)

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=4))
    def start_at_once(self, kinds: list[str]) -> None:
        for kind in kinds:
            self.start(kind)

    @rule(kinds=st.lists(TASKS, min_size=1, max_size=4))
    def start_with_tasks(self, kinds: list[str]) -> None:
        tasks = [Task(kind) for kind in kinds]
        self.tasks += tasks
        turn = self.make_turn("owning", self.action, tasks)
        future = self.call(self.engine, self.asked(turn.plan))
        turn.futures.append(future)
        turn.outcome = future.outcome
        self.turns.append(turn)

    @rule(kind=TASKS)
    def launch(self, kind: str) -> None:
        task = Task(kind)
        self.tasks.append(task)
        task.handle = self.call(self.engine.background.launch, self.asked(task.plan))

    @rule(use=USE, device=DEVICES, lends=LENT)
    def start_with_a_device(self, use: str, device: int, lends: str) -> None:
        user = User("plan", f"turn {len(self.turns)}")
        holds = Holds(self.account, user, use, self.devices[device], lends)
        turn = self.make_turn("using", self.action, holds=holds)
        plan = self.asked(lambda: self.account.follow(user, turn.plan()))
        future = self.call(self.engine, plan)
        turn.futures.append(future)
        turn.outcome = future.outcome
        self.turns.append(turn)

    @rule(
        use=USE,
        device=DEVICES,
        conflict=st.sampled_from(["cancel", "pause", "error"]),
        suspendable=st.booleans(),
    )
    def launch_with_a_device(self, use: str, device: int, conflict: str, suspendable: bool) -> None:
        user = User("task", f"task {len(self.borrowers)}", gives_way=conflict == "pause")
        held = self.devices[device]
        plan = self.asked(lambda: self.account.follow(user, USES[use](held)))
        task = self.call(
            self.engine.background.launch, plan, on_conflict=conflict, suspendable=suspendable
        )
        self.borrowers.append(task)

    # -- order --------------------------------------------------------------------------------

    def follow(self, turn: Turn, future: Any) -> None:
        turn.futures.append(future)
        turn.outcome = future.outcome
        self.turns.append(turn)

    @rule(kind=st.sampled_from(KINDS), priority=st.integers(-2, 2))
    def submit(self, kind: str, priority: int) -> None:
        turn = self.make_turn(kind, self.action)
        submit = self.engine.queue.submit
        self.follow(turn, self.call(submit, self.call_of(turn.plan), priority=priority))

    @rule(which=st.integers(0, 6), where=st.integers(0, 6))
    def move(self, which: int, where: int) -> None:
        waiting = self.engine.queued
        if waiting:
            with contextlib.suppress(IndexError, ValueError):  # it has started, or others have
                self.call(self.engine.queue.move, waiting[which % len(waiting)], where)

    @rule(which=st.integers(0, 6))
    def edit(self, which: int) -> None:
        waiting = [future for future in self.engine.queued if future.call is not None]
        if waiting:
            future = waiting[which % len(waiting)]
            with contextlib.suppress(ValueError):  # it has started
                self.call(self.engine.queue.edit, future, future.call)

    @rule()
    def put_back(self) -> None:
        with contextlib.suppress(TypeError):  # those that were made already
            for future in self.call(self.engine.queue.put_back):
                turn = self.turn_of(future)
                with contextlib.suppress(CancelledError):  # it may be on its way to that
                    turn.outcome.result(T)
                assert turn.outcome.cancelled()
                turn.futures, turn.outcome = [future], future.outcome

    @rule(kind=st.sampled_from(KINDS), restore=st.booleans())
    def preempt(self, kind: str, restore: bool) -> None:
        turn = self.make_turn(kind, self.action)
        plan = self.asked(turn.plan)
        self.follow(turn, self.call(self.engine.preempt, plan, restore=restore))

    @rule(use=USE, device=DEVICES, restore=st.booleans())
    def preempt_with_a_device(self, use: str, device: int, restore: bool) -> None:
        user = User("plan", f"turn {len(self.turns)}", preempts=True)
        turn = self.make_turn(
            "using",
            self.action,
            holds=Holds(self.account, user, use, self.devices[device], ""),
        )
        plan = self.asked(lambda: self.account.follow(user, turn.plan()))
        self.follow(turn, self.call(self.engine.preempt, plan, restore=restore))

    @rule(kind=st.sampled_from(["short", "short", "failing"]))
    def every(self, kind: str) -> None:
        task = Task(kind)
        self.periods.append(task)
        call = self.call_of(task.plan)
        every = self.engine.queue.every
        self.periodic.append(self.call(every, 0.002, call.function, *call.args, **call.kwargs))

    @rule()
    def no_more_of_it(self) -> None:
        if self.periodic:
            self.call(self.periodic.pop().cancel)

    @rule(tripped=st.booleans())
    def trip_an_interlock(self, tripped: bool) -> None:
        self.call(self.lock.put, tripped)

    @rule()
    def release_and_see_what_starts(self) -> None:
        self.call(self.engine.queue.hold, "look")
        picture, waiting = self.here.snapshot(), self.engine.queued
        if picture.state != "idle" or not waiting or self.here.queue.periodic:
            return  # what is due at this moment goes first
        self.quiet = None
        self.call(self.engine.queue.release)
        assert waiting[0].status is not PlanStatus.QUEUED, "it is not the first that starts"

    @invariant()
    def nothing_starts_while_it_is_held(self) -> None:
        assert self.quiet is None or len(self.started) == self.quiet

    @rule(device=DEVICES, seconds=st.sampled_from([0, 0.0005, 0.003]))
    def move_by_hand(self, device: int, seconds: float) -> None:
        user = User("hand", f"move {len(self.moves)}")
        with contextlib.suppress(ResourceConflictError):
            what = self.by_hand(self.devices[device], user, seconds)
            self.moves.append(self.call(self.engine.by_hand.set, *what))

    @rule(device=DEVICES)
    def take_by_hand(self, device: int) -> None:
        held, user = self.devices[device], User("hand", "hand")
        with contextlib.suppress(ResourceConflictError):
            hold = self.hold_of(held)
            self.person.run(self.hands.enter_context, hold)  # what others submit it lends nothing
            self.account.begin(user, held, "by hand")
            self.hands.callback(self.account.end, user, held, "by hand")

    @rule()
    def let_go_by_hand(self) -> None:
        self.person.run(self.hands.close)

    @rule(tripped=st.booleans())
    def beam_fails_or_comes_back(self, tripped: bool) -> None:
        self.beam.put(int(tripped))

    @invariant()
    def nobody_is_inside_of_anothers_hold(self) -> None:
        assert not self.account.violations, "\n".join(self.account.violations)

    @rule(how=st.sampled_from(["cancel", "pause", "resume"]), which=st.integers(0, 5))
    def tell_a_task(self, how: str, which: int) -> None:
        running = self.call(lambda: self.engine.background.running)
        if running:
            self.call(getattr(running[which % len(running)], how))

    @rule(defer=st.booleans())
    def pause(self, defer: bool) -> None:
        try:
            self.controls.append(self.call(self.engine.request_pause, defer))
        except TransitionError:
            return

    @rule(defer=st.booleans())
    def pause_as_queueserver_does(self, defer: bool) -> None:
        coroutine = self.engine._request_pause_coro(defer)
        with contextlib.suppress(TransitionError):
            asyncio.run_coroutine_threadsafe(coroutine, self.engine.loop).result(T)

    @rule()
    def resume(self) -> None:
        try:
            future = self.call(self.engine.resume)
        except TransitionError:
            return
        owners = [turn for turn in self.turns if turn.outcome is future.outcome]
        if not owners:
            assert self.periods, "whose plan was it?"
            return
        assert len(owners) == 1
        if future is not owners[0].futures[-1]:  # else a deferred pause was withdrawn
            owners[0].futures.append(future)

    @rule()
    def resume_while_it_pauses(self) -> None:
        self.pause(defer=False)
        self.resume()

    @rule(why=st.sampled_from(["", "lunch"]))
    def hold(self, why: str) -> None:
        self.call(self.engine.queue.hold, why)
        assert self.engine.queue.held == (why or self.held_by)
        if self.here.snapshot().state == "idle" and self.quiet is None:
            self.quiet = len(self.started)

    @rule()
    def release(self) -> None:
        self.quiet = None
        self.call(self.engine.queue.release)
        assert self.engine.queue.held is None or self.mode == "hold"

    @rule()
    def clear(self) -> None:
        for future in self.call(self.engine.queue.clear):
            assert future.cancelled()

    @rule(mode=st.sampled_from(["cancel", "hold"]))
    def choose_what_an_interruption_does(self, mode: str) -> None:
        self.mode = mode
        self.call(setattr, self.engine.queue, "on_interruption", mode)

    @rule(how=st.sampled_from(["stop", "abort", "halt"]))
    def end(self, how: str) -> None:
        before = self.pending()
        try:
            self.controls.append(self.call(getattr(self.engine, how)))
        except TransitionError:
            refused = True
        else:
            refused = False
        # "Idle" is a lie as long as a plan is pending. One that has ended in the meantime is
        # none, so each that was pending must be over by now, or wait in a queue that is held.
        held = self.engine.snapshot().queue_held is not None
        outcomes = [future.outcome for future in (self.engine.queued if held else ())]
        before = [turn for turn in before if turn.outcome not in outcomes]
        late = [turn.kind for turn in before if refused and not self.is_over(turn)]
        assert not late, f"{how}() was refused while {late} were pending"

    @rule()
    def stop_all(self) -> None:
        self.controls.append(self.call(self.engine.stop_all, "by the machine"))
        assert self.engine.queue.held is not None or self.mode == "cancel"

    def is_over(self, turn: Turn) -> bool:
        try:
            turn.outcome.exception(T if self.engine.state == "idle" else 0)
        except TimeoutError:
            return False
        except CancelledError:
            return True
        return True

    @rule()
    def trigger(self) -> None:
        try:
            self.call(self.engine.trigger_action, "go")
        except KeyError:
            return  # not on offer

    @rule()
    def cancel_the_last_in_the_queue(self) -> None:
        queued = self.engine.queued
        if queued:
            self.call(queued[-1].cancel)

    @rule()
    def wait_a_moment(self) -> None:
        pending = self.pending()
        if pending:
            try:
                pending[0].futures[-1].exception(0.003)
            except (TimeoutError, CancelledError):
                return

    @rule()
    def look(self) -> None:
        picture = self.call(self.engine.snapshot)
        priorities = [waiting.priority for waiting in picture.waiting]
        assert priorities == sorted(priorities, reverse=True)
        if picture.state == "idle":
            assert picture.parked == ()
            assert picture.queue == () or picture.queue_held is not None
            assert picture.plan_name is None

    # -- what must hold -----------------------------------------------------------------------

    def settle(self) -> None:
        """Bring the engine home with public calls alone."""
        for handle in self.here.queue.periodic + tuple(self.periodic):
            self.call(handle.cancel)
        self.lock.put(False)
        self.person.run(self.hands.close)
        self.beam.put(0)
        for move in self.moves:
            move.exception(T)
        self.call(setattr, self.engine.queue, "on_interruption", "cancel")
        self.call(self.engine.queue.release)
        while pending := self.pending() or self.engine.current is not None:
            try:
                self.call(self.engine.halt).exception(T)
            except TransitionError:
                for turn in pending if isinstance(pending, list) else ():
                    # Between two plans it is idle, too: the next one is halted in the next round.
                    assert self.is_over(turn) or self.engine.state != "idle"
        for task in self.engine.background.running:
            self.call(task.cancel)
            task.exception(T)

    def check_tasks(self) -> None:
        assert self.engine.background.running == ()
        assert not self.engine.claims
        for period in self.periods:
            assert period.starts == period.clean_ups
        for task in self.tasks:
            assert task.starts == task.clean_ups <= 1
            if task.handle is not None:
                assert task.handle.done
                error = task.handle.exception(0)
                assert error is None or self.is_failure(error), repr(error)

    def check(self) -> None:
        for turn in self.turns:
            assert turn.outcome.done()
            assert all(future.done() for future in turn.futures)
            last = turn.futures[-1]
            if turn.outcome.cancelled():
                assert last.cancelled()
                assert turn.starts == 0
                continue
            error = turn.outcome.exception(0)
            if self.was_refused(turn, error):
                assert turn.starts == 0
                continue
            if error is not None:
                conflict = turn.holds is not None and isinstance(error, ResourceConflictError)
                assert conflict or self.is_failure(error), repr(error)
                assert self.is_same(last.exception(0), error)
            else:
                result = turn.outcome.result(0)
                if result.interrupted:
                    assert isinstance(last.exception(0), RunEngineInterrupted)
                else:  # success means that the plan ran
                    assert turn.ends == 1
                    assert self.is_same(result.plan_result, turn)
            for future in turn.futures[:-1]:
                why = future.exception(0)
                # Or the plan has ended before the pause came, after which it was to be resumed.
                assert isinstance(why, RunEngineInterrupted) or self.is_same(why, last.exception(0))
                assert why is None or self.is_failure(why) or str(why)
            assert turn.starts == turn.clean_ups <= 1
            assert turn.outcome.done(), "it was parked, and did not come back"
        for control in self.controls:
            control.exception(T)
        assert self.documents.count("start") == self.documents.count("stop")

    def check_devices(self) -> None:
        for done in (*self.moves, *self.borrowers):
            error = done.exception(T)
            given_up = "Everything was stopped" in str(error)  # while it waited for an interlock
            conflict = isinstance(error, ResourceConflictError)
            assert error is None or given_up or conflict, repr(error)
        self.nobody_is_inside_of_anothers_hold()
        assert not self.engine.claims
        assert [device.staged for device in self.devices] == [0, 0]
        assert not any(device.moves for device in self.devices)

    def teardown(self) -> None:
        try:
            self.settle()
            self.check()
            self.check_tasks()
            self.check_devices()
            assert self.engine.state == "idle"
            assert self.engine.queued == ()
            assert dict(self.engine.pending_actions) == {}
            last = self.make_turn("quick", self.action)
            result = self.call(self.engine, self.asked(last.plan)).result(T)
            assert self.is_same(result.plan_result, last)
        finally:
            self.here.clear_suspenders()
            self.leave()


def machine_settings(examples: int) -> settings:
    """Return how much is tried."""
    return settings(
        max_examples=max(1, examples),
        stateful_step_count=STEPS,
        deadline=None,
        phases=(Phase.generate,),  # threads differ at each replay: to shrink is to chase shadows
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
