"""What plans are enclosed in sends what bluesky's own wrappers send, and formats no stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bluesky import preprocessors
from bluesky.utils import Msg, RequestAbort
from ophyd.sim import det, motor
from ophyd_async.core import AsyncStatus, StandardReadable

from freewheel.plan_stubs import _around

if TYPE_CHECKING:
    from collections.abc import Callable


class Staged(StandardReadable):
    """Its staging takes time."""

    @AsyncStatus.wrap
    async def stage(self) -> None: ...

    @AsyncStatus.wrap
    async def unstage(self) -> None: ...


def inner() -> Any:
    yield Msg("null", None, 1)
    yield Msg("null", None, 2)
    return "inner"


def sent(plan: Any, fails_with: BaseException | None = None) -> list[Any]:
    """Return the messages of a plan, and what it returned or failed with."""
    messages: list[Any] = []
    names: dict[Any, int] = {}
    answer: Any = None
    try:
        while True:
            fails = fails_with is not None and bool(messages) and messages[-1][2] == (2,)
            msg = plan.throw(fails_with) if fails else plan.send(answer)
            kwargs = dict(msg.kwargs)
            if "group" in kwargs:
                kwargs["group"] = names.setdefault(kwargs["group"], len(names))
            messages.append((msg.command, msg.obj, msg.args, kwargs))
            if msg.command == "open_run":
                answer = "uid"
            else:
                answer = None if msg.obj in (None, motor) else AsyncStatus(_nothing())
    except StopIteration as end:
        return [*messages, end.value]
    except BaseException as error:
        return [*messages, repr(error)]


async def _nothing() -> None: ...


def in_run(wrappers: Any) -> Any:
    return wrappers.run_wrapper(inner(), md={"sample": "x"})


def staged(wrappers: Any) -> Any:
    return wrappers.stage_wrapper(inner(), [Staged(name="one"), motor, det, motor])


def both(wrappers: Any) -> Any:
    return wrappers.stage_wrapper(wrappers.run_wrapper(inner(), md={}), [motor])


@pytest.mark.parametrize("make", [in_run, both])
@pytest.mark.parametrize("error", [None, ValueError("no"), RequestAbort()])
def test_the_messages_are_blueskys(make: Callable[[Any], Any], error: BaseException | None):
    ours = sent(make(_around), error)
    theirs = sent(iter(make(preprocessors)), error)
    assert ours == theirs
    assert [entry[0] for entry in ours[:-1]].count("close_run") == 1


@pytest.mark.parametrize("error", [None, ValueError("no")])
async def test_what_takes_time_to_stage_is_waited_for(error: BaseException | None):
    ours, theirs = sent(staged(_around), error), sent(staged(preprocessors), error)
    assert [entry[0] for entry in ours] == [entry[0] for entry in theirs]
    assert [entry[3] for entry in ours[:-1]] == [entry[3] for entry in theirs[:-1]]
    assert [entry[0] for entry in ours].count("wait") == 2


def test_no_stack_is_formatted(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any) -> Any:
        raise AssertionError("a stack was formatted")

    monkeypatch.setattr("traceback.format_stack", refuse)
    assert sent(both(_around))[-1] == "uid"
