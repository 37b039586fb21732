"""What the scripts that make the docs' pictures share."""

import tempfile
import time
from pathlib import Path

from PIL import Image
from qtpy.QtCore import QEventLoop, QTimer

TARGET = Path(__file__).resolve().parent / "_static"


def wait(seconds):
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()


def wait_until(condition, seconds=60):
    """Let the window live until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the window did not come to what the picture is to show")
        wait(0.05)


def settle(bridge):
    """Stop what runs, and wait until it is over."""
    engine = bridge.engine
    bridge.stop_all()
    wait_until(lambda: engine.state == "idle" and not engine.background.running)


def image_of(picture):
    """Return what Qt has drawn as an image of Pillow."""
    with tempfile.TemporaryDirectory() as folder:
        name = f"{folder}/shot.png"
        picture.save(name)
        return Image.open(name).convert("RGB")


def save(picture, path, exact=128):
    """Write a picture with a palette: a third of the bytes, and nobody sees it."""
    image = image_of(picture)
    counted = sorted(image.getcolors(image.width * image.height), reverse=True)
    colours = [part for _, colour in counted[:exact] for part in colour]
    # The other half covers colour bars, too, though few pixels have their colours.
    rest = image.quantize(256 - exact, Image.Quantize.MAXCOVERAGE)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + rest.getpalette()[: 3 * (256 - exact)])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
