"""Make the pictures of the docs: ``python docs/make_pictures.py`` writes them to docs/_static.

``python docs/make_pictures.py FOLDER`` writes all states of the window, light and dark, at 100 %
and at 200 %, to a folder: to be looked at; ``--others`` makes those of tutorial and laboratory
alone. Needs the extras ``qt`` and ``remote``, Pillow, and
Chromium for the page; runs without a display, unless QT_QPA_PLATFORM says otherwise.
"""

import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import bluesky.plan_stubs as bps
import bluesky.plans
from picture_tools import TARGET, image_of, save, settle, wait, wait_until
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QImage, QPainter
from qtpy.QtWidgets import QApplication, QDockWidget, QMessageBox

import freewheel.plans
from freewheel import RunEngine
from freewheel.forms import find_plans
from freewheel.plan_stubs import run_progress
from freewheel.qt import AcquisitionWindow, demo_plans, use_theme
from freewheel.remote import EngineServer, TokenFile, connect
from freewheel.sim import microscope

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

# Which states the docs show in which looks: theme and scale.
SHOWN = {
    ("light", 1): ("live", "scan", "tools", "runs", "stage"),
    ("dark", 1): ("scan", "tools"),
    ("light", 2): ("scan",),
    ("dark", 2): ("scan",),
}


def film(window, path, frames=14, seconds=0.15, width=560):
    """Save what a window shows as a film that repeats."""
    pictures = []
    for _ in range(frames):
        wait(seconds)
        small = window.grab().scaledToWidth(width, Qt.SmoothTransformation)
        pictures.append(image_of(small).quantize(64))
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=int(1000 * seconds), loop=0
    )


# -- the window -------------------------------------------------------------------------------


def pictures_of_the_window(shown, folder):
    """Have a process for each look: Qt takes the scale when it begins."""
    for (theme, scale), states in shown.items():
        environment = {**os.environ, "QT_SCALE_FACTOR": str(scale)}
        command = [sys.executable, __file__, "--look", theme, str(scale), str(folder), *states]
        subprocess.run(command, check=True, env=environment)


def pictures_of_a_look(theme, scale, folder, *wanted):
    """Go through the states of one window, and save those that are wanted."""
    use_theme(theme)
    folder = Path(folder).resolve()
    look = f"{'-dark' if theme == 'dark' else ''}{'' if scale == '1' else f'-{scale}00'}"
    scope = microscope(shape=(1024, 1024))
    with RunEngine() as engine, tempfile.TemporaryDirectory() as recordings:
        engine.preprocessors.append(run_progress)
        window = AcquisitionWindow(
            engine, dict(scope), find_plans([freewheel.plans, demo_plans], scope)
        )
        os.chdir(recordings)  # the picture is to show no folder of this machine
        window.bar.destination = "recordings"
        window.resize(1400, 860)
        window.show()
        names = [state.__name__ for state in STATES]
        for state in STATES[: 1 + max(map(names.index, wanted))]:
            picture = state(window, engine, scope) or window.grab()
            name = state.__name__
            if name in wanted:
                save(picture, f"{folder}/window-{name}{look}.png")
            if name == "live" and not look and folder == TARGET:
                film(window, f"{folder}/window-live.gif")
        settle(window.bridge)
        window.close()
        wait(0.5)
        os.chdir(HERE)


def live(window, engine, scope):
    """A live view in the background."""
    window.chooser.choose("live_view").set_values({"detectors": ["camera"]})
    window.controls.run()
    wait_until(lambda: window.image.frame is not None)
    wait(1.5)


def scan(window, engine, scope):
    """A scan that has taken the camera from it, and another one that waits."""
    form = window.chooser.choose("scan")
    form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 200})
    window.controls.run()
    window.controls.run()
    wait(3)


def tools(window, engine, scope):
    """A region, a line and a recording in a live view."""
    settle(window.bridge)
    window.chooser.choose("align")  # whose preview tells of no folder of this machine
    window.bar.start_live()
    wait_until(lambda: window.image.rates[0])
    window.image.roi = (300, 300, 200, 150)
    window.image.profile_line = ((100, 200), (800, 600))
    window.image.pixel_size = 0.5, "um"
    window.image.set_colours("viridis")
    window.bar.start_recording()
    wait_until(lambda: window.bar.recording.is_on and window.image.rates[0])
    wait(2)
    window.bar.snap()
    wait_until(lambda: window.bar.snaps.count)
    wait(2)


def runs(window, engine, scope):
    """A scan that is fitted, and plotted again from the list of runs."""
    window.bar.stop_recording()
    settle(window.bridge)
    window.image.roi = window.image.profile_line = None
    window.image.set_colours("grey")
    window.bridge.run(bluesky.plans.scan([scope.temperature], scope.stage.x, -5, 5, 21))
    wait(1)
    wait_until(lambda: engine.state == "idle")
    window.runs.choose(window.runs.runs[-1])
    window.runs.replot()
    show(window, "Runs")


def stage(window, engine, scope):
    """The stage pad with saved positions, the presets, and plans that wait in the queue."""
    window.tabs.setCurrentWidget(window.images)
    window.bar.start_live()
    show(window, "Stage", "Presets", "Queue")
    window.presets.save("as bright as it gets", ["camera.exposure", "lamp"])
    for place, name in (((-90, 60), "first bead"), ((90, -40), "second bead"), ((0, 5), "")):
        window.stage.go(dict(zip(("stage.x", "stage.y"), place, strict=True)))
        wait_until(lambda place=place: window.stage.place["stage.x"] == place[0])
        wait(1)
        window.stage.save_position(name)
    window.chooser.choose("count").set_values({"detectors": ["temperature"]})
    engine.queue.hold("lunch")
    for _ in range(3):
        window.controls.run()
    wait(1)


def error(window, engine, scope):
    """A plan that has failed."""
    engine.queue.clear()
    engine.queue.release()
    window.bridge.run(bps.mv(scope.lamp, 200))
    wait(1)
    show(window, "Errors", "Devices", "Claims")


def question(window, engine, scope):
    """The question before a window is closed on a live view."""
    window.close()
    wait(1)
    picture = window.grab()
    painter = QPainter(picture)
    for box in window.findChildren(QMessageBox):
        if box.isVisible():
            painter.drawPixmap(window.rect().center() - box.rect().center(), box.grab())
            box.reject()
    painter.end()
    return picture


STATES = (live, scan, tools, runs, stage, error, question)


def show(window, *docks):
    """Bring docks to the front."""
    for name in docks:
        window.findChild(QDockWidget, name).raise_()
    wait(1)


# -- other windows ----------------------------------------------------------------------------


def pictures_of_the_tutorial():
    """Each step of the tutorial, while a live view runs."""
    for step in sorted((HERE / "tutorials/window").glob("step[123].py")):
        scope = microscope(shape=(512, 512))
        with RunEngine() as engine:
            window, bridge = runpy.run_path(str(step))["build"](engine, scope)
            window.show()
            if engine.state == "idle":
                bridge.run(freewheel.plans.live_view([scope.camera]))
            wait(1.5)
            save(window.grab(), TARGET / f"tutorial-{step.stem}.png")
            settle(bridge)
            bridge.close()
            window.hide()
            KEPT.append(window)


def pictures_of_the_laboratory():
    """One live view on a server: a window of one client, and the page of two others."""
    tokens = TokenFile(Path(tempfile.mkdtemp()) / "tokens.json")
    plans = [bluesky.plans.count, bluesky.plans.scan, freewheel.plans.live_view]
    scope = microscope(shape=(512, 512))
    with (
        RunEngine() as engine,
        EngineServer(engine, plans=plans, devices=scope, tokens=tokens, port=0) as server,
        connect(server.url, tokens.add("anna", "admin")) as anna,
    ):
        window = AcquisitionWindow(anna, dict(anna.devices), anna.plans.entries())
        window.resize(1400, 860)
        window.show()
        window.chooser.choose("live_view").set_values({"detectors": ["camera"]})
        window.controls.run()
        wait(2)
        save(window.grab(), TARGET / "laboratory-window.png")
        engine.queue.hold("lunch")
        anna(anna.plans.count([anna.devices.camera], num=3))
        phones = [
            picture_of_a_phone(f"{server.page}#token={tokens.add(name, role)}")
            for name, role in (("ben", "observer"), ("cara", "operator"))
        ]
        save(side_by_side(phones), TARGET / "laboratory-phones.png")
        engine.stop_all()
        window.close()
        wait(0.5)


def picture_of_a_phone(url):
    """The server's page, 360 pixels wide."""
    from browser import browser  # of tests/support; it needs Chromium

    folder = Path(tempfile.mkdtemp())
    with browser(folder / "browser") as tab:
        tab.show(url)
        tab.until("!document.querySelector('#live').hidden")
        wait(1)
        tab.picture(folder / "phone.png")
    return QImage(str(folder / "phone.png"))


def side_by_side(pictures, gap=40):
    """Put pictures into one."""
    width = sum(each.width() for each in pictures) + gap * (len(pictures) - 1)
    made = QImage(width, max(each.height() for each in pictures), pictures[0].format())
    made.fill(QColor("#808080"))
    with_brush, x = QPainter(made), 0
    for each in pictures:
        with_brush.drawImage(x, 0, each)
        x += each.width() + gap
    with_brush.end()
    return made


KEPT = []  # windows that are over: let them live until the end, which is near

if __name__ == "__main__":
    app = QApplication([])
    use_theme("light")
    if sys.argv[1:2] == ["--look"]:
        pictures_of_a_look(*sys.argv[2:])
    elif len(sys.argv) > 1 and sys.argv[1] != "--others":
        everything = [state.__name__ for state in STATES]
        pictures_of_the_window(dict.fromkeys(SHOWN, everything), sys.argv[1])
    else:
        if "--others" not in sys.argv:
            pictures_of_the_window(SHOWN, TARGET)
        pictures_of_the_tutorial()
        pictures_of_the_laboratory()
