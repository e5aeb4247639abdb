"""Pictures of the app's main states: `python -m babe2_gui.screenshots RECORDING FOLDER [--size 1280x800] [--scale 2]`.

Everything in them is real: the recording is restored with the embedded preset, as a draft.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import soundfile

SELECTED_S = 2.0, 5.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Writes pictures of the app's main states.")
    parser.add_argument("recording", metavar="RECORDING", help="piano, some ten seconds of it")
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--size", default="1280x800", help="of the window, before scaling (default: 1280x800)")
    parser.add_argument("--scale", default="1", help="pixels of the picture for one of the window's (default: 1)")
    args = parser.parse_args(argv)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = args.scale
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from .main_window import MainWindow
    from .views import theme
    app = QApplication([])
    theme.apply(app)
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        window = MainWindow(None, QSettings(f"{state}/settings.ini", QSettings.Format.IniFormat), Path(state))
        window.resize(*map(int, args.size.split("x")))
        window.show()
        _Photographer(app, window, args.folder).all(args.recording)
        window.close()
    return 0


class _Photographer:
    """Drives a window as a user would."""

    def __init__(self, app, window, folder: Path):
        self.app, self.window, self.folder = app, window, folder

    def all(self, recording: str) -> None:
        """The states in the order in which a user comes to them."""
        from .views.help import start_tour
        from .views.tour import Tour
        window, session = self.window, self.window.session
        self.wait(lambda: session.preset_target is not None)
        self.take("1-empty")
        start_tour(window)
        self.take("2-tour")
        window.findChild(Tour).finish()
        window.files.open(recording)
        self.wait(lambda: session.input_spectrum is not None and window.timeline.upper.image.image is not None)
        self.take("3-loaded")
        session.set_options("Draft", quality="draft")
        window.eq.plot.add_point(3500.0, float(session.shown_target.at(3500.0)) + 3)
        window.timeline.select(SELECTED_S)
        self.take("4-editing")
        session.render(passage_only=True)
        self.wait(lambda: session.job is None or session.job.state.step >= 6)
        self.take("5-rendering")
        self.wait(lambda: session.job is None)
        session.set_options("Another seed", seed=1)
        session.render()
        self.wait(lambda: session.job is None)
        self.wait(lambda: window.timeline.lower.image.image is not None)
        window.transport.choose("restored")
        window.tabs.setCurrentIndex(1)
        self.take("6-finished")
        window.timeline.difference.click()
        window.chain.add_effect("before", "HighpassFilter")
        window.chain.add_effect("after", "BrickwallLimiter")
        window.tabs.setCurrentIndex(2)
        self.take("7-chain")
        window.timeline.wave.click()
        window.restore_panel.expert.click()
        window.tabs.setCurrentIndex(0)
        self.take("8-expert")
        session.open_recording(str(self.folder / "missing.wav"))
        self.wait(window.banner.isVisible)
        self.take("9-error")
        session.mark_saved()
        self.batch(recording)

    def batch(self, recording: str) -> None:
        """The batch queue: empty, filled, at work, and finished, with a file that is not a recording."""
        window, batch = self.window, self.window.batch
        window.banner.hide()
        window.show_batch()
        batch.resize(min(window.width(), 1200), min(window.height(), 760))
        self.take("10-batch-empty", batch)
        with tempfile.TemporaryDirectory() as folder:
            shelf = Path(folder, "Transfers")
            shelf.mkdir()
            audio, rate = soundfile.read(recording, always_2d=True)
            for number in range(4):
                soundfile.write(shelf / f"Side {'ABCD'[number]}.flac", audio[number * rate:][:3 * rate], rate)
            (shelf / "Side E.flac").write_bytes(b"a broken copy")
            window.show_batch((str(shelf),))
            self.wait(lambda: not batch.queue.looking)
            batch.queue.set_options(quality="draft")
            self.take("11-batch-filled", batch)
            batch.start_batch()
            self.wait(lambda: any(entry.share > 0.3 for entry in batch.queue.entries[1:2]))
            batch.grab().save(str(self.folder / "12-batch-running.png"))
            batch.close()
            self.take("13-batch-in-the-background")
            window.show_batch()
            self.wait(lambda: not batch.queue.running)
            self.take("14-batch-finished", batch)
            batch.close()

    def wait(self, until) -> None:
        while not until():
            self.app.processEvents()
            time.sleep(0.005)

    def take(self, name: str, window=None) -> None:
        """A picture of a window, the main one by default, once everything has settled."""
        end = time.monotonic() + 0.7
        self.wait(lambda: time.monotonic() > end)
        (window or self.window).grab().save(str(self.folder / f"{name}.png"))


if __name__ == "__main__":
    sys.exit(main())
