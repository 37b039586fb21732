"""A real window under an X server, driven with mouse and keyboard."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from freewheel.recording import read_runs
from person import WHY_NOT, Person, screen

pytestmark = [
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.servers,  # some seconds each
    pytest.mark.timeout(300),
]

Opener = Callable[..., Person]


@pytest.fixture(name="opened")
def _opened(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Open the window, on a screen of its own; what is opened later is on the same."""
    with ExitStack() as stack:
        display = stack.enter_context(screen(getattr(request, "param", "1500x950")))
        program = Path(__file__).with_name("driven_window.py")
        yield lambda *arguments: stack.enter_context(Person(display, program, *arguments))


def choose_plan(person: Person, name: str) -> None:
    """Choose a plan, and the camera to read if nothing is chosen yet."""
    person.click("plans")
    person.do("type", name)
    person.keys("Return")
    person.see(f"window.chooser.form.spec.name == {name!r}")


def tick_camera(person: Person) -> None:
    person.click("detectors")  # gives it the keyboard
    person.keys("Home", "space")
    person.see("window.chooser.form.values()['detectors'] == ['camera']")


def test_a_session_at_the_microscope(opened: Opener) -> None:
    person = opened()
    choose_plan(person, "live_view")
    tick_camera(person)
    person.click("run")
    person.see("window.image.frame is not None and 'running' in text('task:live_view', 'status')")
    person.click("action:snap")
    person.see("window.bar.snaps.count == 1")
    person.click("task:live_view", "pause")
    person.see("'paused' in text('task:live_view', 'status')")
    person.click("task:live_view", "pause")
    person.see("'running' in text('task:live_view', 'status')")
    person.click("camera.exposure", "value")
    person.type("0.02")
    person.keys("Return")
    person.see("text('camera.exposure', 'readback') == '0.02'")

    choose_plan(person, "scan")
    tick_camera(person)
    person.click("motor")
    person.do("type", "stage.x")
    person.keys("Return")
    person.click("num")
    person.type("30")
    person.click("run")
    person.see("'gives way to scan' in text('task:live_view', 'status')")
    person.click("pause")
    person.see("engine.state == 'paused'")
    person.click("resume")
    person.see("'scan completed' in window.log.text")
    person.see("'running' in text('task:live_view', 'status')")

    person.click("task:live_view", "cancel")
    person.see("not engine.background.running")
    choose_plan(person, "live_view")
    person.click("run")
    person.see("engine.background.running")
    person.keys("ctrl+q")
    person.answer("close", "Stop and close")
    person.see_it_close()


def press_stop_all(person: Person) -> None:
    person.click_at("at('stop_all')")


def fill_target(person: Person, row: str, text: str) -> None:
    person.click(row, "target")
    person.type(text)


def test_nothing_moves_that_nobody_asked_for(opened: Opener) -> None:
    person = opened()
    choose_plan(person, "grid_scan")
    # No motor is chosen by itself, and not one twice.
    values = person.know("window.chooser.form.values()")
    assert not values.get("slow_motor")
    assert not values.get("fast_motor")
    # The wheel is for scrolling, unless somebody has gone there.
    for names in (("slow_motor",), ("slow_num",), ("plans",), ("shutter", "target")):
        person.wheel(*names)
    person.wheel("stage.x", "target", down=False)
    for motor in ("slow_motor", "fast_motor"):
        person.click(motor)
        person.do("type", "stage.x")
        person.keys("Return")
        person.see(f"window.chooser.form.values()['{motor}'] == 'stage.x'")
    assert person.see("window.chooser.form.obstacles")
    assert person.know("window.chooser.form.values()['slow_num']") == values["slow_num"]
    assert person.know("text('stage.x', 'target')") == "0"
    assert person.know("engine.by_hand.moving") == []
    # A choice is set by its button; behind a dangerous device there is a question.
    person.click("shutter", "target")
    person.keys("End", "Return")  # of the list that is open
    person.see("text('shutter', 'target') == 'Closed'")
    assert person.know("text('shutter', 'readback')") == "Open"
    person.click("shutter", "go")
    person.answer("danger", "Cancel")
    person.see("at('shutter', 'go')")
    person.click("shutter", "go")
    person.see("part('danger')")
    assert person.know("text('shutter', 'readback')") == "Open"
    person.answer("danger", person.see("part('danger').windowTitle()"))
    person.see("text('shutter', 'readback') == 'Closed'")
    # Targets begin at the readback.
    fill_target(person, "stage.x", "40")
    person.keys("Return")
    person.see("text('stage.x', 'readback') == '40'")
    person.click("stage.x", "target")
    person.keys("Up")
    person.see("text('stage.x', 'target') == '41'")
    assert person.know("text('stage.x', 'readback')") == "40"
    person.keys("Return")
    person.see("text('stage.x', 'readback') == '41'")
    person.click("stage.x", "stepBack")
    person.see("text('stage.x', 'readback') == '40'")
    assert "stage-x → 40" in person.know("window.log.text")


def test_a_motor_that_a_plan_holds_is_grey_until_the_plan_is_paused(opened: Opener) -> None:
    person = opened()
    choose_plan(person, "scan")
    tick_camera(person)
    person.click("motor")
    person.do("type", "stage.x")
    person.keys("Return")
    person.click("num")
    person.type("2000")
    person.click("run")
    person.see("'held by scan' in text('stage.x', 'holder')")
    assert person.know("at('stage.x', 'go')") is None
    assert person.see("at('stage.x', 'go', grey=True)")
    fill_target(person, "stage.x", "50")
    person.click("stage.x", "pauseAndMove")
    person.see("engine.state == 'paused'")
    person.see("text('stage.x', 'readback') == '50'")
    log = person.know("window.log.text")
    assert "stage-x → 50" in log
    assert "pause" in log
    press_stop_all(person)
    person.see("engine.state == 'idle'")


def test_another_window_closes_and_the_live_view_goes_on(opened: Opener) -> None:
    person = opened("--windows", 2)
    person.click("live")  # of the first one
    person.see("engine.background.running and windows[1].image.frame is not None")
    person.click("plans", window=1)
    person.keys("Escape")
    person.go_to("windows[1]")
    person.keys("ctrl+w")
    person.see("not windows[1].isVisible()")
    assert person.know("len(engine.background.running)") == 1
    person.go_to()
    person.keys("ctrl+q")
    person.go_to("part('close')")
    assert person.see("part('close').defaultButton().text()") == "Go on"
    person.keys("ctrl+period")  # no question is in the way of that
    person.see_it_close()


def test_live_snap_record_and_stop_all(opened: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    person = opened("--folder", folder)
    person.see("text('lamp', 'readback') == '0'")
    person.click("live")
    person.see("len(events) > 3 and text('lamp', 'readback') == '80'")
    assert person.know("engine.state") == "idle"  # it gives way to plans
    person.click("live")
    person.see("not engine.background.running")
    person.see("text('lamp', 'readback') == '0'")
    assert not person.know("part('live').isChecked()")

    person.click("snap")
    person.see("text('snaps') == '1 snap, not recorded'")
    person.see("not part('lastSnap').icon().isNull()")
    person.see("engine.state == 'idle' and not engine.background.running")

    person.click("record")
    person.see("window.bar.recording.is_on")
    person.click("live")
    person.see("'/s' in text('recordingFigures') and 'free' in text('recordingFigures')")
    person.see("'B,' in text('recordingFigures') and not text('recordingFigures').startswith('0 ')")
    person.click("snap")
    person.see(f"text('snaps') == '2 snaps, recorded to {folder}'")
    person.click("lastSnap")
    person.click("record")
    person.see("not window.bar.recording.is_on and not window.bar.recording.is_ending")
    person.see("engine.background.running")  # with a run of its own, which nobody records
    press_stop_all(person)
    person.see("not engine.background.running and text('lamp', 'readback') == '0'")
    assert not person.know("part('live').isChecked()")

    (run,) = read_runs(folder)
    assert run.complete
    assert run.start["plan_name"] == "live_view"
    frames = [doc for name, doc in run.documents() if name == "event"]
    assert frames[0]["data"]["camera-image"].shape == (256, 256)
    person.keys("ctrl+q")
    person.see_it_close()


def double_click_pixel(person: Person, x: float, y: float) -> None:
    person.click_at(f"pixel({x}, {y})", times=2)


def see_stage(person: Person, x: float, y: float, within: float = 1e-3) -> None:
    """Wait until the stage is somewhere, and at rest."""
    place = f"window.stage.place.get('stage.x', 1e9) - {x}, window.stage.place['stage.y'] - {y}"
    person.see(f"max(map(abs, ({place}))) < {within} and not engine.by_hand.moving")


def test_the_stage_is_moved_with_the_pad_and_the_picture(opened: Opener, tmp_path: Path) -> None:
    person = opened("--settings", tmp_path / "kept.ini")
    person.click_at("tab('Stage')")
    person.see("text('place')")
    person.click("jog:step:xy")
    person.type("7.5")
    person.keys("Tab")
    person.do("mousemove", *person.see("at('jog:right')"))
    person.do("click", 1)
    see_stage(person, 7.5, 0)
    # Arrow keys, on the map.
    person.see("window.stage.map.isVisible()")
    person.see("[window.stage.map.setObjectName('map')]")
    person.click("map")
    person.keys("Left", "Up", "Up")
    see_stage(person, 0, 15)
    person.keys("Page_Up")
    person.see("window.stage.place['focus'] == 1")
    person.click("position:add")
    person.see("window.stage.positions == {'Position 1': window.stage.place}")
    # The limits are -60 and 60.
    person.click("map")
    person.keys("shift+Right")  # ten steps are 75
    person.see("'beyond the limits, from -60 to 60' in text('says')")
    see_stage(person, 0, 15)
    person.keys("Right", "Down")
    see_stage(person, 7.5, 7.5)
    person.click_at("row('positions', 0)", times=2)
    see_stage(person, 0, 15)
    person.click("position:back")
    see_stage(person, 7.5, 7.5)

    # Half a micrometre for a pixel: a step of 7.5 moves what is seen by 15 pixels.
    person.click("live")
    person.see("window.image.frame is not None")
    person.click("calibrate")
    person.see("text('calibration').startswith('1 of 3')")
    double_click_pixel(person, 150, 150)
    person.see("text('calibration').startswith('2 of 3')")
    see_stage(person, 15, 7.5)
    double_click_pixel(person, 135, 150)
    person.see("text('calibration').startswith('3 of 3')")
    see_stage(person, 15, 15)
    double_click_pixel(person, 135, 135)
    see_stage(person, 7.5, 7.5)
    size = float(person.see("text('calibration')").split()[3])
    assert abs(size - 0.5) < 0.05
    person.click("clickToMove")
    double_click_pixel(person, 168, 108)  # 40 pixels to the right of the middle, 20 above it
    see_stage(person, 7.5 + 20, 7.5 - 10, within=2)
    press_stop_all(person)
    person.see("not engine.background.running")
    person.keys("ctrl+q")
    person.see_it_close()

    again = opened("--settings", tmp_path / "kept.ini")
    again.click_at("tab('Stage')")
    assert list(again.see("window.stage.positions")) == ["Position 1"]
    assert again.see("text('jog:step:xy')") == "7.5"
    assert again.see("text('calibration')").startswith("1 pixel is")


def test_presets_are_saved_and_applied(opened: Opener) -> None:
    person = opened()
    person.click_at("tab('Presets')")
    person.see("'camera.gain' in window.presets.readings")
    person.click("preset:save")
    person.go_to("part('presetDialog')")
    person.do("type", "as it was")
    person.keys("Tab", "Home", "space")
    person.keys("Tab", "Return")
    person.see("window.presets.presets")
    person.go_to()
    (row,) = person.know("list(window.presets.presets['as it was'])")
    before = person.know(f"text('{row}', 'readback')")
    person.click(row, "value")
    person.type("0.05")
    person.keys("Return")
    person.see(f"text('{row}', 'readback') == '0.05'")
    person.click_at("row('presets', 0)")
    person.click("preset:apply")
    person.see(f"text('{row}', 'readback') == {before!r}")


def queue_three(person: Person) -> None:
    """Queue three plans behind a hold."""
    choose_plan(person, "count")
    tick_camera(person)
    person.click_at("tab('Queue')")
    person.click("queue:hold")
    person.see("engine.queue.held is not None")
    for number in (1, 2, 3):
        person.click("num")
        person.type(str(number))
        person.click("run")
        person.see(f"len(engine.queued) == {number}")


ORDER = "[plan.call.kwargs.get('num') or plan.call.arguments for plan in engine.queued]"


def test_plans_that_wait_are_moved_edited_held_and_released(opened: Opener) -> None:
    person = opened()
    queue_three(person)
    first = person.know(ORDER)
    person.see("row('waiting', 2)")
    assert person.know("part('waiting').topLevelItem(0).text(3)") == "held"
    person.click_at("row('waiting', 2)")
    person.keys("alt+Up")
    person.see(f"{ORDER} == {[first[0], first[2], first[1]]!r}")
    person.keys("alt+Up")
    person.see(f"{ORDER} == {[first[2], first[0], first[1]]!r}")
    person.click_at("row('waiting', 0)")
    person.keys("alt+Down")
    person.see(f"{ORDER} == {[first[0], first[2], first[1]]!r}")
    person.click_at("row('waiting', 2)", times=2)
    person.go_to("part('editCall')")
    person.click("editCall", "num")
    person.type("4")
    person.click_at("answer('editCall', 'OK')")
    person.go_to()
    person.see(f"'4' in str({ORDER}[2]) and {ORDER}[:2] == {[first[0], first[2]]!r}")
    person.click("queue:hold")  # which is Release now
    person.see("window.log.text.count('count completed') == 3")

    choose_plan(person, "scan")
    tick_camera(person)
    person.click("motor")
    person.do("type", "stage.y")
    person.keys("Return")
    person.click("run")
    person.see("engine.state == 'running'")
    person.click("run")
    person.see("len(engine.queued) == 1")
    press_stop_all(person)
    # What waits is held, and not lost, until somebody releases it.
    person.see("engine.state == 'idle' and engine.queue.held is not None")
    assert person.know("len(engine.queued)") == 1
    person.click("queue:hold")
    person.see("engine.state == 'running' and not engine.queued")


def row_at(number: int, above: int = 0) -> str:
    """Return an expression for a place on a row of the queue, so many pixels above its middle."""
    return f"[row('waiting', {number})[0], row('waiting', {number})[1] - {above}]"


def test_plans_that_wait_are_dragged_to_another_place(opened: Opener) -> None:
    person = opened()
    queue_three(person)
    one, two, three = person.know(ORDER)
    person.see("row('waiting', 2)")
    person.drag(row_at(2), row_at(0, above=6))
    person.see(f"{ORDER} == {[three, one, two]!r}")
    person.drag(row_at(0), row_at(1, above=-6))
    person.see(f"{ORDER} == {[one, three, two]!r}")
    person.drag(row_at(0), row_at(2, above=-9))  # where no row is any more
    person.see(f"{ORDER} == {[three, two, one]!r}")
    assert person.know("part('waiting').topLevelItemCount()") == 3
    # One that is let go where it was stays, and one that is taken out meanwhile moves no other.
    person.drag(row_at(1), row_at(1, above=6))
    person.see("row('waiting', 2)")
    assert person.know(ORDER) == [three, two, one]
    person.take(row_at(0), row_at(2))
    person.see("engine.queued[0].cancel() and len(engine.queued) == 2")
    person.see("part('waiting').topLevelItemCount() == 2")
    person.do("mouseup", 1)
    person.see("row('waiting', 1)")
    assert person.know(ORDER) == [two, one]
    person.click_at("row('waiting', 1)")  # it is a mouse as before
    person.keys("alt+Up")
    person.see(f"{ORDER} == {[one, two]!r}")


def menu(person: Person, keys: str, entry: str) -> None:
    """Open a menu by its letter, and choose an entry by its first letters."""
    person.keys(keys)
    person.see(f"any(text.replace('&', '').startswith({entry!r}) for text in menu())")


def test_the_look_and_the_docks_are_kept(opened: Opener, tmp_path: Path) -> None:
    settings = tmp_path / "kept.ini"
    person = opened("--settings", settings)
    person.see("at('plans')")
    person.go_to()
    before = person.know("docks()")
    # The theme, with the keyboard.
    menu(person, "alt+v", "Theme")
    person.keys("t")
    person.see("any('Dark' in text for text in menu())")
    person.keys("d")
    person.see("window.palette().window().color().lightness() < 80")
    # A dock is dragged to the other side, one is closed, and one that was closed comes back.
    person.drag("title('Log')", "[window.width() // 2, window.menuBar().height() + 90]")
    person.click_at("close_of('Claims')")
    person.see("not docks()['Claims'][1]")
    person.click_at("close_of('Plan')")
    person.see("not docks()['Plan'][1]")
    menu(person, "alt+v", "Docks")
    person.keys("d")
    person.see("'Plan' in menu()")
    person.keys("Home", "Return")
    person.see("docks()['Plan'][1]")
    after = person.see("docks()")
    assert after["Log"] != before["Log"]
    person.keys("ctrl+q")
    person.see_it_close()

    again = opened("--settings", settings)
    again.see("at('plans')")
    again.go_to()
    assert again.see("docks()") == after
    assert again.know("window.palette().window().color().lightness()") < 80
    menu(again, "alt+v", "Put the docks back")
    again.keys("p")
    again.see(f"docks() == {before!r}")


def walk(person: Person, key: str = "Tab", most: int = 200) -> list[dict[str, object]]:
    """Press Tab until the keyboard is where it was at first; return what had it."""
    stops = [person.see("focus()")]
    while len(stops) < most:
        person.keys(key)
        stop = person.see(
            f"focus() if focus() and focus()['number'] != {stops[-1]['number']} else 0"
        )
        if stop["number"] in {each["number"] for each in stops}:
            return stops
        stops.append(stop)
    raise AssertionError(f"there is no end of it: {[s['name'] for s in stops]}")


def test_the_keyboard_alone_suffices(opened: Opener) -> None:
    person = opened()
    person.see("at('plans')")
    person.go_to()
    person.keys("F1")
    person.go_to("part('shortCuts')")
    assert person.see("focus()")["name"] == "Short cuts"
    person.keys("Escape")
    person.see("not part('shortCuts')")
    person.go_to()
    # From Tab to Tab through the whole window, and in the other direction.
    person.keys("ctrl+1")
    stops = walk(person)
    within = {name for stop in stops for name in stop["within"]}
    assert {"Acquisition", "Plan", "Devices", "Claims", "Log"} <= within
    assert all(stop["name"] for stop in stops), [s for s in stops if not s["name"]]
    assert all(stop["seen"] for stop in stops), [s for s in stops if not s["seen"]]
    # Live, with the keyboard alone.
    while person.see("focus()")["name"] != "Live":
        person.keys("Tab")
    person.keys("space")
    person.see("engine.background.running")
    person.keys("space")
    person.see("not engine.background.running")


@pytest.mark.parametrize("opened", ["1366x768"], indirect=True)
def test_all_of_it_fits_a_small_screen(opened: Opener) -> None:
    person = opened()
    person.see("at('plans')")
    docks = ("Stage", "Devices", "Presets", "Claims", "Errors", "Queue", "Runs", "Log", "Plot")
    for name in docks:
        person.click_at(f"tab({name!r})")  # which a mouse reaches on the screen alone
        if name != "Plot":
            person.see(f"not part({name!r}).visibleRegion().isEmpty()")
    for name in ("live", "run", "plans", "runOtherwise"):
        x, y = person.see(f"at({name!r}, grey=True)")
        assert 0 < x < 1366, name
        assert 0 < y < 768, name
    assert person.know("window.frameGeometry().right()") < 1366
    assert person.know("window.frameGeometry().bottom()") < 768
