"""One row of the timeline: a waveform or a spectrogram of what is visible, made in the background."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt, QTimer, Signal

from ..model.pictures import Envelope, spectrogram_db
from . import theme
from .axes import TimeAxis, dress, unit

WAIT_MS = 15  # views change many times in a row; the last counts
RANGE_DB = 85.0
DIFFERENCE_DB = 30.0
MARGIN = 0.25  # of the visible time, made on both sides beforehand
CLICK_PX = 4
SHORTEST_S = 0.005


def _blue_black_orange() -> pg.ColorMap:
    """For differences: what was lost is blue, what was added orange; equal is black. Safe for colour-blind eyes."""
    return pg.ColorMap([0.0, 0.25, 0.5, 0.75, 1.0], [(140, 205, 245), (0, 114, 178), (18, 20, 23), (213, 94, 0),
                                                     (250, 205, 110)])


class TimelinePlot(pg.PlotWidget):
    """Draws a *subject*: audio (channels, samples) at a place in the recording, or the difference of two.

    Signals: selected (from, to in s, or None) · sought (s) · zoomed (from, to in s) by the mouse.
    """

    selected = Signal(object)
    sought = Signal(float)
    zoomed = Signal(float, float)

    def __init__(self, tasks, title: str, has_times: bool):
        super().__init__(axisItems={"bottom": TimeAxis("bottom")}, background=theme.PLOT)
        self.tasks, self.has_times = tasks, has_times
        self.setAccessibleName(f"{title}: waveform or spectrogram")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        plot = self.getPlotItem()
        plot.hideButtons()
        plot.setMenuEnabled(False)
        for name in ("left", "bottom"):
            dress(plot.getAxis(name))
        plot.getAxis("left").setWidth(40)
        plot.getAxis("bottom").setHeight(20 if has_times else 3)
        plot.setContentsMargins(2, 12, 10, 0)
        self.unit = unit(plot, "")
        self.box = plot.getViewBox()
        self.box.setMouseEnabled(False, False)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.wave = pg.PlotDataItem(pen=pg.mkPen(theme.ACCENT, width=1), antialias=False)
        self.region = pg.LinearRegionItem(movable=False, brush=(86, 180, 233, 26), pen=pg.mkPen(theme.ACCENT, width=1))
        self.cursor = pg.InfiniteLine(0, pen=pg.mkPen("#ffffff", width=1))
        for item in (self.image, self.wave, self.region, self.cursor):
            self.addItem(item, ignoreBounds=True)
        self.region.hide()
        self.note = pg.LabelItem("", color=theme.DIM)
        self.note.setParentItem(self.box)
        self.title = pg.LabelItem(title, color="#c9cdd4", size="8pt", justify="left")
        self.title.setParentItem(self.box)
        self.title.setPos(4, 0)
        self.kind = "spectrogram"
        self.rate, self.samples = 44100, 0
        self._subject: tuple | None = None
        self._span: tuple[float, float] | None = None
        self._envelope: Envelope | None = None
        self._asked, self._busy, self._again = 0, False, False
        self._top_db: float | None = None
        self._press = None
        self._timer = QTimer(self, singleShot=True, interval=WAIT_MS, timeout=self._make)
        self.box.sigResized.connect(self._resized)
        self.box.sigXRangeChanged.connect(lambda *_: self._timer.start())

    # ------------------------------------------------------------------------------------------------ showing

    def set_recording(self, samples: int, rate: int) -> None:
        """The length of what is shown, and its sample rate in Hz."""
        self.samples, self.rate, self._top_db = samples, rate, None
        plot = self.getPlotItem()
        for name in ("left", "bottom"):
            plot.getAxis(name).setStyle(showValues=bool(samples) and (name == "left" or self.has_times))
        self.cursor.setVisible(bool(samples))
        self.image.clear()
        self.wave.setData([], [])

    def set_subject(self, subject: tuple | None, note: str = "") -> None:
        """What to draw: (audio, start), or (audio, start, audio to compare with) for a difference; None for nothing,
        with a note that says why."""
        self._subject, self._envelope = subject, None
        self._asked += 1  # what is being made is of another subject
        self.set_selection(self._span)
        self.note.setText(note, size="10pt", color=theme.DIM)
        self._resized()
        if subject is None:
            self.image.clear()
            self.wave.setData([], [])
        self._timer.start()

    def set_kind(self, kind: str) -> None:
        """ "waveform" or "spectrogram"."""
        self.kind = kind
        self.image.setVisible(kind == "spectrogram")
        self.wave.setVisible(kind == "waveform")
        self.zero_view()
        self._asked += 1
        self._timer.start()

    def zero_view(self) -> None:
        """All frequencies, or all levels."""
        top = self.rate / 2000 if self.kind == "spectrogram" else 1.0
        self.box.setLimits(yMin=0 if self.kind == "spectrogram" else -1.0, yMax=top)
        self.box.setYRange(0 if self.kind == "spectrogram" else -1.0, top, padding=0)
        self.unit.setText(("kHz" if self.kind == "spectrogram" else "level") if self.samples else "", size="8pt",
                          color=theme.DIM)

    def set_time(self, begin_s: float, end_s: float) -> None:
        self.box.setXRange(begin_s, end_s, padding=0)

    def time(self) -> tuple[float, float]:
        return tuple(self.box.viewRange()[0])

    def set_selection(self, span: tuple[float, float] | None) -> None:
        self._span = span
        self.region.setVisible(span is not None and self._subject is not None)
        if span:
            self.region.setRegion(span)

    def _resized(self, *_) -> None:
        size = self.box.size()
        self.note.setPos(size.width() / 2 - self.note.sizeHint(Qt.SizeHint.MinimumSize, self.note.size()).width() / 2,
                         size.height() / 2 - 12)
        self._timer.start()

    # ------------------------------------------------------------------------------- making, in the background

    def _make(self) -> None:
        """Has the visible part made; one at a time, the latest request next."""
        if self._subject is None or not self.samples:
            return
        if self._busy:
            self._again = True
            return
        begin_s, end_s = self.time()
        margin = MARGIN * (end_s - begin_s)
        begin, end = (begin_s - margin) * self.rate, (end_s + margin) * self.rate
        begin, end = max(begin, 0), min(end, self.samples)
        if end - begin < 2:
            return
        share = (end - begin) / self.rate / (end_s - begin_s)
        columns = int(np.clip(self.box.width() * self.devicePixelRatioF() * share, 50, 6000))
        self._asked += 1
        asked, work = self._asked, self._work(begin, end, columns)
        self._busy = True

        def done(made) -> None:
            self._busy = False
            if asked == self._asked:
                self._show(begin, end, made)
            if self._again or asked != self._asked:
                self._again = False
                self._timer.start()

        def failed(error) -> None:
            self._busy = False
            self.note.setText("This part cannot be drawn.")
        self.tasks.run(work, done, failed)

    def _work(self, begin: float, end: float, columns: int):
        subject, kind, rate, envelope = self._subject, self.kind, self.rate, self._envelope
        audio, start = subject[:2]
        other = subject[2] if len(subject) > 2 else None
        if kind == "waveform":
            def waveform():
                drawn = audio if other is None else audio - other[:, start:start + audio.shape[1]]
                ready = envelope or Envelope(drawn)
                return ready, ready.read(int(begin) - start, int(end) - start + 1, columns)
            return waveform

        def spectrogram():
            image = spectrogram_db(audio, rate, begin - start, end - start, columns)
            if other is None:
                return image
            floor = image.max() - RANGE_DB
            return np.maximum(image, floor) - np.maximum(spectrogram_db(other, rate, begin, end, columns), floor)
        return spectrogram

    def _show(self, begin: float, end: float, made) -> None:
        if self.kind == "waveform":
            self._envelope, (at, low, high) = made
            at = np.repeat((at + self._subject[1]) / self.rate, 2)
            self.wave.setData(at, np.stack([low, high], axis=1).ravel())
            return
        difference = len(self._subject) > 2
        if self._top_db is None and not difference:
            self._top_db = float(np.percentile(made, 99.8)) + 3
        colours = _blue_black_orange() if difference else pg.colormap.get("inferno")
        top = self._top_db if self._top_db is not None else float(made.max())
        levels = (-DIFFERENCE_DB, DIFFERENCE_DB) if difference else (top - RANGE_DB, top)
        self.image.setImage(made, autoLevels=False, levels=levels, lut=colours.getLookupTable(nPts=512))
        bin_khz = self.rate / 2000 / (made.shape[0] - 1)
        self.image.setRect(QRectF(begin / self.rate, -bin_khz / 2, (end - begin) / self.rate,
                                  self.rate / 2000 + bin_khz))

    # ---------------------------------------------------------------------------------------------- the mouse

    def seconds_at(self, position) -> float:
        seconds = self.box.mapSceneToView(self.mapToScene(position.toPoint())).x()
        return min(max(seconds, 0.0), self.samples / self.rate)

    def mousePressEvent(self, event) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if self.samples and event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            extend = event.modifiers() & Qt.KeyboardModifier.ShiftModifier and self.region.isVisible()
            anchor = self.seconds_at(event.position())
            if extend:  # from the end that is further away
                low, high = self.region.getRegion()
                anchor = low if abs(anchor - high) < abs(anchor - low) else high
            self._press = (event.button(), event.position(), anchor, self.time(), bool(extend))

    def mouseMoveEvent(self, event) -> None:
        if self._press is None:
            return
        button, start, anchor, (begin, end), extend = self._press
        if button == Qt.MouseButton.MiddleButton:
            moved = (event.position().x() - start.x()) / self.box.width() * (end - begin)
            self.zoomed.emit(begin - moved, end - moved)
        elif extend or abs(event.position().x() - start.x()) > CLICK_PX:
            now = self.seconds_at(event.position())
            self.selected.emit((min(anchor, now), max(anchor, now)))

    def mouseReleaseEvent(self, event) -> None:
        press, self._press = self._press, None
        if press and press[0] == Qt.MouseButton.LeftButton and not press[4] \
                and abs(event.position().x() - press[1].x()) <= CLICK_PX:
            self.selected.emit(None)
            self.sought.emit(press[2])

    def mouseDoubleClickEvent(self, event) -> None:
        if self.samples:
            self.selected.emit((0.0, self.samples / self.rate))

    def wheelEvent(self, event) -> None:
        if not self.samples:
            return
        across, notches = event.angleDelta().x() / 120, event.angleDelta().y() / 120
        begin, end = self.time()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._zoom_levels(event.position(), notches)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier or across:
            moved = -(across or notches) * 0.1 * (end - begin)
            self.zoomed.emit(begin + moved, end + moved)
        else:
            at, scale = self.seconds_at(event.position()), 0.8 ** notches
            self.zoomed.emit(at + (begin - at) * scale, at + (end - at) * scale)
        event.accept()

    def _zoom_levels(self, position, notches: float) -> None:
        low, high = self.box.viewRange()[1]
        at = self.box.mapSceneToView(self.mapToScene(position.toPoint())).y() if self.kind == "spectrogram" else 0.0
        scale = 0.8 ** notches
        self.box.setYRange(at + (low - at) * scale, at + (high - at) * scale, padding=0)
