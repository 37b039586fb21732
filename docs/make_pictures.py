"""Make the pictures of the docs: ``python docs/make_pictures.py`` writes them to docs/_static.

Needs the extras ``qt`` and ``remote``, Pillow for the film and Chromium for the page; runs without
a display, unless QT_QPA_PLATFORM says otherwise.
"""

import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import bluesky.plans
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtGui import QColor, QImage, QPainter
from qtpy.QtWidgets import QApplication, QDockWidget

import freewheel.plans
from freewheel import RunEngine
from freewheel.forms import find_plans
from freewheel.plan_stubs import run_progress
from freewheel.qt import AcquisitionWindow, demo_plans, use_theme
from freewheel.remote import EngineServer, TokenFile, connect
from freewheel.sim import microscope

HERE = Path(__file__).resolve().parent
TARGET = HERE / "_static"
sys.path.insert(0, str(HERE.parent / "tests" / "support"))


def wait(seconds):
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()


def settle(engine):
    """Stop what runs, and wait until it is over."""
    if engine.state != "idle":
        engine.stop()
    end = time.monotonic() + 10
    while engine.state != "idle" and time.monotonic() < end:
        wait(0.05)


def film(window, path, frames=14, seconds=0.15, width=560):
    """Save what a window shows as a film that repeats."""
    from PIL import Image

    pictures = []
    for _ in range(frames):
        wait(seconds)
        with tempfile.TemporaryDirectory() as folder:
            name = f"{folder}/shot.png"
            window.grab().scaledToWidth(width, Qt.SmoothTransformation).save(name)
            pictures.append(Image.open(name).convert("RGB").quantize(64))
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=int(1000 * seconds), loop=0
    )


def picture_of_the_window():
    """The whole window, with a live view that gives way to a scan."""
    scope = microscope(shape=(1024, 1024))
    with RunEngine() as engine:
        engine.preprocessors.append(run_progress)
        window = AcquisitionWindow(
            engine, dict(scope), find_plans([freewheel.plans, demo_plans], scope)
        )
        window.show()
        window.chooser.choose("live_view").set_values({"detectors": ["camera"]})
        window.controls.run()
        wait(1.5)
        window.grab().save(str(TARGET / "window-live.png"))
        film(window, TARGET / "window-live.gif")
        form = window.chooser.choose("scan")
        form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 200})
        window.controls.run()
        wait(1.5)
        window.grab().save(str(TARGET / "window-scan.png"))
        settle(engine)
        window.stop_and_close()
        wait(0.5)


def pictures_of_the_looks(themes=("light", "dark"), scales=(1, 2)):
    """The window in both themes, at 100 % and 200 %: Qt takes the scale when it begins."""
    for theme in themes:
        for scale in scales:
            environment = {**os.environ, "QT_SCALE_FACTOR": str(scale)}
            name = f"window-{theme}{'' if scale == 1 else f'-{100 * scale}'}.png"
            subprocess.run(
                [sys.executable, __file__, "--look", theme, str(TARGET / name)],
                check=True,
                env=environment,
            )


def picture_of_a_look(theme, path):
    """The window in one theme: a live view that gives way to a scan, and a plan that waits."""
    use_theme(theme)
    scope = microscope(shape=(512, 512))
    with RunEngine() as engine:
        engine.preprocessors.append(run_progress)
        window = AcquisitionWindow(
            engine, dict(scope), find_plans([freewheel.plans, demo_plans], scope)
        )
        window.show()
        window.chooser.choose("live_view").set_values({"detectors": ["camera"]})
        window.controls.run()
        wait(1)
        form = window.chooser.choose("scan")
        form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 200})
        window.controls.run()
        window.controls.run()
        wait(1)
        window.grab().save(path)
        engine.queue.clear()
        settle(engine)
        window.stop_and_close()
        wait(0.5)


def pictures_of_the_tools():
    """A region, a line and a recording in a live view; then a scan that is fitted, and its run."""
    scope = microscope(shape=(1024, 1024))
    with RunEngine() as engine, tempfile.TemporaryDirectory() as folder:
        window = AcquisitionWindow(
            engine, dict(scope), find_plans([freewheel.plans, demo_plans], scope)
        )
        window.bar.destination = f"{folder}/recording"
        window.show()
        window.bar.start_live()
        wait(1.5)
        window.image.roi = (300, 300, 200, 150)
        window.image.profile_line = ((100, 200), (800, 600))
        window.image.pixel_size = 0.65, "um"
        window.image.set_colours("viridis")
        window.bar.start_recording()
        wait(2)
        window.bar.snap()
        wait(2)
        window.grab().save(str(TARGET / "window-tools.png"))
        window.bar.stop_live()
        wait(1)
        window.image.roi = window.image.profile_line = None
        window.plot.fit = "peak statistics"
        window.bridge.run(bluesky.plans.scan([scope.temperature], scope.stage.x, -5, 5, 21))
        wait(3)
        settle(engine)
        window.runs.choose(window.runs.runs[-1])
        window.runs.replot()
        window.findChild(QDockWidget, "Runs").raise_()
        wait(1)
        window.grab().save(str(TARGET / "window-runs.png"))
        window.stop_and_close()
        wait(0.5)


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
            window.grab().save(str(TARGET / f"tutorial-{step.stem}.png"))
            settle(engine)
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
        window.show()
        window.chooser.choose("live_view").set_values({"detectors": ["camera"]})
        window.controls.run()
        wait(2)
        window.grab().save(str(TARGET / "laboratory-window.png"))
        engine.queue.hold("lunch")
        anna(anna.plans.count([anna.devices.camera], num=3))
        phones = [
            picture_of_a_phone(f"{server.page}#token={tokens.add(name, role)}")
            for name, role in (("ben", "observer"), ("cara", "operator"))
        ]
        side_by_side(phones).save(str(TARGET / "laboratory-phones.png"))
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
        picture_of_a_look(*sys.argv[2:])
        sys.exit()
    TARGET.mkdir(exist_ok=True)
    picture_of_the_window()
    pictures_of_the_looks()
    pictures_of_the_tools()
    pictures_of_the_tutorial()
    pictures_of_the_laboratory()
