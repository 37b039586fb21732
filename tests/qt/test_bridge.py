"""What the engine tells reaches the window's thread, in order, and floods nobody."""

import gc
import sys
import threading
import weakref
from concurrent.futures import Future
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.preprocessors import run_decorator
from qtpy.QtCore import QObject, QThread

import freewheel.qt
from freewheel.core import Action
from freewheel.plan_stubs import wait_for_actions
from freewheel.qt import EngineBridge, LivePlot, responsive
from freewheel.qt._link._feed import Feed

GO = Action(name="go")


def waiting() -> Any:
    yield from wait_for_actions(GO.event_map, timeout=None)
    GO.event_map["go"].reset()


def test_everything_arrives_on_the_windows_thread_and_in_order(
    bridge: Any, scope: Any, soon: Any
) -> None:
    seen: list[Any] = []
    threads = set()

    def note(kind: str) -> Any:
        def slot(*args: Any) -> None:
            threads.add(QThread.currentThread())
            seen.append((kind, *args))

        return slot

    bridge.stateChanged.connect(note("state"))
    bridge.planStarted.connect(note("started"))
    bridge.planEnded.connect(note("ended"))
    bridge.documentReceived.connect(note("document"))
    future = bridge.run(bp.count([scope.temperature], 3))
    soon(lambda: any(kind == "ended" for kind, *_ in seen))
    soon(lambda: seen[-1][:2] == ("state", "idle") or ("state", "idle", "running") in seen)
    assert threads == {QThread.currentThread()}
    documents = [item[1] for item in seen if item[0] == "document"]
    assert documents == ["start", "descriptor", "event", "event", "event", "stop"]
    order = [item[0] for item in seen]
    assert order.index("started") < order.index("document")
    last_document = len(order) - 1 - order[::-1].index("document")
    assert last_document < order.index("ended")
    assert ("ended", future) in seen


def test_documents_are_passed_on_as_they_are(bridge: Any, scope: Any, soon: Any) -> None:
    events: list[Any] = []
    inline: list[Any] = []
    bridge.engine.subscribe(lambda _, doc: inline.append(doc), "event")
    bridge.documentReceived.connect(lambda n, doc: events.append(doc) if n == "event" else None)
    bridge.run(bp.count([scope.camera]))
    soon(lambda: events and inline)  # the bridge was subscribed first
    assert events[0] is inline[0]


def test_actions_and_claims_are_told(bridge: Any, scope: Any, soon: Any) -> None:
    offered: list[Any] = []
    claims: list[Any] = []
    bridge.actionsChanged.connect(offered.append)
    bridge.claimsChanged.connect(claims.append)
    bridge.run(waiting())
    soon(lambda: frozenset({"go"}) in offered)
    bridge.trigger_action("go")
    soon(lambda: offered[-1] == frozenset())
    with bridge.engine.claims.hold(scope.focus):
        soon(lambda: {"focus": "manual move"} in claims)
    soon(lambda: claims[-1] == {})


def test_pause_resume_stop_and_abort(bridge: Any, soon: Any) -> None:
    states: list[str] = []
    bridge.stateChanged.connect(lambda new, _: states.append(new))
    future = bridge.run(bps.sleep(60))
    soon(lambda: states[-1:] == ["running"])
    bridge.pause()
    soon(lambda: states[-1:] == ["paused"])
    bridge.resume()
    soon(lambda: states[-1:] == ["running"])
    bridge.stop()
    soon(lambda: states[-1:] == ["idle"])
    assert future.outcome.result().exit_status == "success"
    future = bridge.run(bps.sleep(60))
    soon(lambda: states[-1:] == ["running"])
    bridge.abort("enough")
    soon(lambda: states[-1:] == ["idle"])
    assert future.outcome.result().reason == "enough"


@pytest.mark.parametrize(
    "ask", [lambda b: b.resume(), lambda b: b.run(None), lambda b: b.trigger_action("nothing")]
)
def test_what_cannot_be_is_told_and_not_raised(bridge: Any, ask: Any) -> None:
    refused: list[Any] = []
    bridge.requestRefused.connect(lambda what, error: refused.append((what, error)))
    assert ask(bridge) is None
    assert len(refused) == 1
    assert isinstance(refused[0][1], Exception)


def test_the_engine_does_not_keep_the_bridge(engine: Any, soon: Any) -> None:
    @run_decorator()
    def many_events() -> Any:
        for number in range(300):
            yield from bps.create()
            yield from bps.read(READER)
            yield from bps.save()
            if number == 20:
                started.set()

    started = threading.Event()
    bridge = EngineBridge(engine)
    gone = weakref.ref(bridge)
    future = bridge.run(many_events())
    assert started.wait(10)
    del bridge
    gc.collect()
    assert gone() is None
    assert future.outcome.result(10).exit_status == "success"
    assert not engine.dispatcher.cb_registry.callbacks.get("event")


def test_a_bridge_deleted_by_its_parent_is_left_alone(engine: Any, soon: Any, scope: Any) -> None:
    parent = QObject()
    bridge = EngineBridge(engine, parent)
    ended = []
    parent.destroyed.connect(lambda: ended.append(True))
    future = bridge.run(bp.count([scope.camera], 50))
    parent.deleteLater()
    soon(lambda: ended)
    assert future.outcome.result(10).exit_status == "success"


def test_of_a_flood_of_frames_the_newest_alone_waits(qapp: Any, soon: Any) -> None:
    got: list[Any] = []
    feed = Feed(lambda kind, arguments: got.append((kind, *arguments)))
    frame = np.zeros((200, 200), np.uint16)

    def event(descriptor: str, number: int) -> dict[str, Any]:
        return {"descriptor": descriptor, "seq_num": number, "data": {"image": frame}}

    def flood() -> None:
        feed.put("state", "running", "idle")
        for number in range(1000):
            feed.put_document("event", event("a", number))
            feed.put_document("event", {"descriptor": "t", "seq_num": number, "data": {"t": 1.0}})
        feed.put("ended", None)

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join()
    soon(lambda: got and got[-1][0] == "ended")
    frames = [
        item[2]["seq_num"] for item in got if item[0] == "document" and "image" in item[2]["data"]
    ]
    scalars = [
        item[2]["seq_num"] for item in got if item[0] == "document" and "t" in item[2]["data"]
    ]
    assert frames == [999]
    assert scalars == list(range(1000))


def test_a_window_that_is_always_behind_gets_frames_all_the_same(
    qapp: Any, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._link._feed._TURN", -1.0)  # one document in a turn
    frame = np.zeros((200, 200), np.uint16)
    got: list[dict[str, Any]] = []
    numbers = iter(range(40))

    def put() -> None:
        if (number := next(numbers, None)) is not None:
            data = {"image": frame, "x": float(number)}
            feed.put_document("event", {"descriptor": "d", "seq_num": number, "data": data})

    def receive(kind: str, arguments: Any) -> None:
        got.append(arguments[1])
        put()  # as fast as the window takes them, so that there are always two more

    feed = Feed(receive)
    for _ in range(3):
        put()
    soon(lambda: len(got) == 40)
    assert [doc["seq_num"] for doc in got] == list(range(40))
    with_frame = [doc["seq_num"] for doc in got if "image" in doc["data"]]
    assert len(with_frame) > 10
    assert with_frame[-1] == 39


def test_numbers_that_come_with_frames_are_not_lost(bridge: Any, qtbot: Any, soon: Any) -> None:
    plot = LivePlot(bridge, "x")
    qtbot.addWidget(plot)
    keys = {
        "x": {"dtype": "number", "shape": [], "source": "test"},
        "image": {"dtype": "array", "shape": [200, 200], "source": "test"},
    }
    told: list[dict[str, Any]] = []
    bridge.documentReceived.connect(lambda name, doc: told.append(doc) if name == "event" else 0)
    tell = bridge._feed.put_document
    tell("start", {"uid": "run", "time": 0.0})
    tell("descriptor", {"uid": "d", "run_start": "run", "name": "primary", "data_keys": keys})
    for number in range(1, 12):
        data = {"x": float(number), "image": np.zeros((200, 200), np.uint16)}
        times = dict.fromkeys(data, 1.0)
        event = {"descriptor": "d", "seq_num": number, "time": 1.0 * number, "data": data}
        tell("event", {**event, "timestamps": times, "filled": {}})
    soon(lambda: len(told) == 11)
    assert [doc["seq_num"] for doc in told if "image" in doc["data"]] == [1, 11]
    assert [*told[1]["timestamps"]] == ["x"]
    soon(lambda: plot.points.shape[-1] == 11 or plot.points.shape[0] == 11)


def test_a_window_that_falls_behind_more_and_more_has_pictures(qapp: Any, soon: Any) -> None:
    got: list[int] = []

    def receive(_: str, arguments: tuple[Any, ...]) -> None:
        if "image" in arguments[1]["data"]:
            got.append(arguments[1]["seq_num"])
        for _ in range(2):  # meanwhile two more come
            if (number := next(numbers, None)) is not None:
                tell(number)

    def tell(number: int) -> None:
        data = {"x": float(number), "image": np.zeros((200, 200), np.uint16)}
        feed.put_document("event", {"descriptor": "d", "seq_num": number, "data": data})

    feed, numbers = Feed(receive), iter(range(1000))
    tell(next(numbers))
    soon(lambda: got and got[-1] == 999)
    assert sorted(got) == got
    assert len(got) > 5


def test_what_one_receiver_raises_costs_neither_it_nor_others_the_rest(
    qapp: Any, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda _, error, __: raised.append(str(error)))
    got: list[Any] = []

    def receive(_: str, arguments: tuple[Any, ...]) -> None:
        if arguments[0] == "bad":
            raise ValueError("bad news")
        got.append(arguments[0])

    first, second = Feed(receive), Feed(receive)
    first.put("news", "bad")
    first.put("news", 1)
    second.put("news", 2)
    soon(lambda: got == [1, 2])
    first.put("news", 3)
    second.put("news", 4)
    soon(lambda: got == [1, 2, 3, 4])
    assert raised == ["bad news"]


def test_a_bridge_on_another_thread_is_refused(engine: Any) -> None:
    errors: list[BaseException] = []

    def make() -> None:
        try:
            EngineBridge(engine)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert "window's thread" in str(errors[0])


def test_responsive_is_undone(qapp: Any) -> None:
    import sys

    before = (gc.isenabled(), sys.getswitchinterval(), gc.get_freeze_count())
    with responsive(switch_interval=0.001):
        assert sys.getswitchinterval() == pytest.approx(0.001)
        frozen = gc.get_freeze_count()
        assert not gc.isenabled()
        with responsive():
            assert gc.get_freeze_count() == frozen
        assert gc.get_freeze_count() == frozen > 0
    assert (gc.isenabled(), sys.getswitchinterval(), gc.get_freeze_count()) == before


def test_all_that_is_exported_exists() -> None:
    for name in freewheel.qt.__all__:
        assert hasattr(freewheel.qt, name)


class _Reader:
    name = "reader"
    parent = None

    def read(self) -> Any:
        return {"reader": {"value": 1.0, "timestamp": 0.0}}

    def describe(self) -> Any:
        return {"reader": {"source": "test", "dtype": "number", "shape": []}}


READER = _Reader()


def test_the_binding_loses_no_reference_to_none(qapp: Any) -> None:
    # PySide6 6.12 does on Python 3.11, one in each call, and the program dies within minutes.
    import sys

    holder = QObject()
    before = sys.getrefcount(None)
    for _ in range(1000):
        holder.setObjectName("a")
    assert sys.getrefcount(None) > before - 500


def test_a_stop_of_everything_is_told_of_once_and_at_once(
    bridge: Any, engine: Any, soon: Any
) -> None:
    told: list[str] = []
    bridge.allStopped.connect(lambda: told.append("stopped"))
    bridge.queueChanged.connect(lambda _: told.append("queue"))
    future = bridge.stop_all()
    assert told == ["stopped"]
    future.result(60)
    bridge.hold_queue()  # which the engine tells of later
    soon(lambda: "queue" in told)
    assert told.count("stopped") == 1
    engine.queue.release()
    engine.stop_all().result(60)  # a program's
    soon(lambda: told.count("stopped") == 2)


def test_a_stop_that_did_not_come_to_the_engine_hides_no_other_one(
    bridge: Any, engine: Any, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    bridge.allStopped.connect(lambda: told.append("stopped"))
    lost: Future[Any] = Future()
    lost.set_exception(ConnectionError("there is no line"))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(type(engine), "stop_all", lambda *_: lost)
        bridge.stop_all()
    assert told == ["stopped"]
    engine.stop_all().result(60)  # a program's
    soon(lambda: told == ["stopped", "stopped"])
