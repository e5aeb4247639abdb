"""The plot of the EQ view: the curves, and the target under the mouse and the keys."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtWidgets import QGraphicsRectItem, QMenu

from ..model.curve import HIGHEST_HZ, LOWEST_HZ
from ..model.take import Learned
from . import theme
from .axes import FrequencyAxis, dress, hz_text, unit
from .learned_curve import LearnedCurve

REACH_PX = 11  # how near a point the mouse has to be
START_DB, MOST_DB = (-48.0, 18.0), 80.0
SLOPE_DB = 0.5  # dB per octave for a notch of the wheel
NUDGE_DB, NUDGE_OCTAVES = 0.5, 1 / 24


class EqPlot(pg.PlotWidget):
    """Curves of a session over log frequency; edits its target.

    Signals: selection_changed, when other points are selected · hovered, with the words for what is under the mouse.
    """

    selection_changed = Signal()
    hovered = Signal(str)

    def __init__(self, session):
        super().__init__(axisItems={"bottom": FrequencyAxis("bottom")}, background=theme.PLOT)
        self.session = session
        self.drawing = False
        self._drag = None  # what the mouse is doing, with what it needs to know
        self._path: list[tuple[float, float]] = []
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Equalizer curves")
        self.setAccessibleDescription("Arrow keys move the selected target point, N and P select the next and the "
                                      "previous one, Insert adds one, Delete removes it.")
        plot = self.getPlotItem()
        plot.hideButtons()
        plot.setMenuEnabled(False)
        plot.showGrid(x=True, y=True, alpha=0.2)
        for name in ("left", "bottom"):
            dress(plot.getAxis(name))
        plot.getAxis("left").setWidth(40)
        plot.getAxis("bottom").setHeight(24)
        plot.setContentsMargins(2, 14, 10, 0)
        self.unit_db, self.unit_hz = unit(plot, "dB"), unit(plot, "Hz")
        self.box = plot.getViewBox()
        self.box.setMouseEnabled(False, False)
        self.box.setLimits(xMin=math.log10(10), xMax=math.log10(30000), yMin=-160, yMax=80, minXRange=0.1, minYRange=3)
        self.box.sigResized.connect(self._place_unit)
        self._make_items()
        self.reset_view()

    def _set_pens(self) -> None:
        """Lines are drawn in the screen's own pixels, which are smaller on a high-resolution one."""
        scale = self.devicePixelRatioF()
        for name, style in theme.CURVES.items():
            self.curves[name].setPen(pg.mkPen(style.colour, width=style.width * scale, style=style.stroke))
        self.learned.set_pens(scale)
        self.points.setPen(pg.mkPen(theme.CURVES["target"].colour, width=1.6 * scale))
        self.line.setPen(pg.mkPen(theme.TEXT, width=1.5 * scale))

    def event(self, event) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._set_pens()
        return super().event(event)

    def _make_items(self) -> None:
        self.learned = LearnedCurve(self)
        self.curves = {name: self.learned.curve if name == "learned" else pg.PlotDataItem(antialias=True)
                       for name in theme.CURVES}
        self.points = pg.ScatterPlotItem(symbol="o", size=10)
        self.line = pg.PlotDataItem()  # drawn by hand, not yet let go
        self.zero = pg.InfiniteLine(0, angle=0, pen=pg.mkPen("#4a505a", width=1))
        self.band = QGraphicsRectItem()
        self.band.setPen(pg.mkPen(theme.ACCENT))
        self.band.setBrush(pg.mkBrush(86, 180, 233, 30))
        self.band.hide()
        learned = self.learned
        items = (self.zero, learned.band, self.curves["input"], self.curves["restored"], learned.ghosts, learned.curve,
                 learned.breakpoints, self.curves["target"], self.points, self.line, self.band)
        for depth, item in enumerate(items):
            item.setZValue(depth)
            self.addItem(item, ignoreBounds=True)
        self._set_pens()

    def _place_unit(self) -> None:
        self.unit_hz.setPos(14, self.height() - 26)

    # ------------------------------------------------------------------------------------------------ showing

    def reset_view(self) -> None:
        """From 20 Hz to 20 kHz, and the levels that music has."""
        self.set_view((18.0, 22000.0), self._levels())

    def _levels(self) -> tuple[float, float]:
        """Room for all that is shown, down to what is too far below to matter."""
        levels = [item.getData()[1] for item in (self.curves["input"], self.curves["restored"], self.curves["target"])]
        levels = [level for level in levels if level is not None and len(level)]
        high = max([START_DB[1], *(float(level.max()) + 5 for level in levels)])
        low = min([START_DB[0], *(float(level.min()) - 5 for level in levels)])
        return max(low, high - MOST_DB), high

    def set_view(self, hz: tuple[float, float], db: tuple[float, float]) -> None:
        self.box.setRange(xRange=[math.log10(value) for value in hz], yRange=db, padding=0)

    def view(self) -> tuple[tuple[float, float], tuple[float, float]]:
        (x0, x1), (y0, y1) = self.box.viewRange()
        return (10 ** x0, 10 ** x1), (y0, y1)

    def set_curve(self, name: str, hz, db) -> None:
        """Shows a curve; nothing, where it is None."""
        if hz is None:
            self.curves[name].setData([], [])
            return
        hz, db = np.asarray(hz), np.asarray(db)
        inside = hz >= 10
        self.curves[name].setData(np.log10(hz[inside]), db[inside])

    def set_target(self, curve, selected: set[int], own: bool) -> None:
        """The target; its points are faint where it is the preset's and not the user's own."""
        if curve is None:
            self.curves["target"].setData([], [])
            self.points.setData([], [])
            return
        hz, db = curve.hz, curve.db
        smooth = np.unique(np.concatenate([np.geomspace(10, 30000, 500), hz]))
        self.curves["target"].setData(np.log10(smooth), curve.at(smooth))
        colour = theme.CURVES["target"].colour
        brushes = [pg.mkBrush(colour if index in selected else theme.PLOT) for index in range(len(hz))]
        sizes = [13 if index in selected else 10 for index in range(len(hz))]
        shown = self.curves["target"].isVisible()
        self.points.setData(np.log10(hz), db, brush=brushes, size=sizes)
        self.points.setVisible(shown)
        self.points.setOpacity(1.0 if own else 0.45)

    def set_learned(self, learned: Learned | None, animate: bool) -> None:
        """The learned response with its deviation; while it is being learned it glides from step to step."""
        self.learned.show(learned, animate)

    def set_hidden(self, hidden: set[str]) -> None:
        for name, item in self.curves.items():
            item.setVisible(name not in hidden)
        self.learned.set_hidden(hidden)
        self.points.setVisible("target" not in hidden)

    # ------------------------------------------------------------------------------------------ mouse and keys

    def hz_db(self, position) -> tuple[float, float]:
        """Frequency and level at a place of the widget."""
        point = self.box.mapSceneToView(self.mapToScene(position.toPoint() if isinstance(position, QPointF)
                                                        else position))
        return 10 ** min(max(point.x(), 0.0), 5.0), point.y()

    def place(self, hz: float, db: float) -> QPointF:
        """Where a frequency and a level are on the widget."""
        return QPointF(self.mapFromScene(self.box.mapViewToScene(QPointF(math.log10(hz), db))))

    def point_at(self, position: QPointF) -> int | None:
        """The index of the target's point under the mouse, or None."""
        curve = self.session.shown_target
        if curve is None or "target" in self.session.view.hidden:
            return None
        distances = [(self.place(hz, db) - position).manhattanLength() for hz, db in curve.points]
        nearest = int(np.argmin(distances))
        return nearest if distances[nearest] <= REACH_PX * 1.4 else None

    def _select(self, indices: set[int]) -> None:
        self.session.selected = indices
        self.session.changed()
        self.selection_changed.emit()

    def mousePressEvent(self, event) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        position = event.position()
        if event.button() == Qt.MouseButton.MiddleButton:
            self._drag = ("pan", position, self.view())
        elif event.button() == Qt.MouseButton.LeftButton and self.drawing:
            self._drag, self._path = ("draw",), [self.hz_db(position)]
        elif event.button() == Qt.MouseButton.LeftButton:
            index, selected = self.point_at(position), self.session.selected
            if index is None:
                self._drag = ("band", position)
                if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                    self._select(set())
                return
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self._select(selected ^ {index})
                return
            if index not in selected:
                self._select({index})
            self._drag = ("points", index, object(), self.hz_db(position), self.session.shown_target)

    def mouseMoveEvent(self, event) -> None:
        position = event.position()
        kind = self._drag[0] if self._drag else None
        if kind == "points":
            self._drag_points(position, event.modifiers())
        elif kind == "draw":
            self._path.append(self.hz_db(position))
            self.line.setData(*zip(*((math.log10(hz), db) for hz, db in self._path)))
        elif kind == "band":
            corners = [self.box.mapSceneToView(self.mapToScene(p.toPoint())) for p in (self._drag[1], position)]
            self.band.setRect(QRectF(*corners).normalized())
            self.band.show()
        elif kind == "pan":
            self._pan(position)
        hz, db = self.hz_db(position)
        self.hovered.emit(f"{hz_text(hz)} Hz   {db:+.1f} dB")
        over = self.point_at(position) is not None
        self.setCursor(Qt.CursorShape.CrossCursor if self.drawing else
                       Qt.CursorShape.SizeAllCursor if over else Qt.CursorShape.ArrowCursor)

    def _drag_points(self, position: QPointF, modifiers) -> None:
        _, index, key, (hz0, db0), curve = self._drag
        hz, db = self.hz_db(position)
        fine = 0.2 if modifiers & Qt.KeyboardModifier.ShiftModifier else 1.0
        change_db, factor = (db - db0) * fine, (hz / hz0) ** fine
        if len(self.session.selected) > 1:  # several points keep their frequencies
            moved = curve.shifted(change_db, set(self.session.selected))
        else:
            moved = curve.moved(index, curve.points[index][0] * factor, curve.points[index][1] + change_db)
        self.session.set_target(moved, "Move point", key)

    def _pan(self, position: QPointF) -> None:
        _, start, ((low, high), (bottom, top)) = self._drag
        size = self.box.size()
        x = (position.x() - start.x()) / size.width() * math.log2(high / low)
        y = (position.y() - start.y()) / size.height() * (top - bottom)
        self.set_view((low / 2 ** x, high / 2 ** x), (bottom + y, top + y))

    def mouseReleaseEvent(self, event) -> None:
        drag, self._drag = self._drag, None
        if not drag:
            return
        if drag[0] == "draw":
            path, self._path = self._path, []
            self.line.setData([], [])
            if len(path) > 1:
                self.session.selected = set()
                self.session.change_target(lambda curve: curve.drawn(path), "Draw target")
        elif drag[0] == "band" and self.band.isVisible():
            self.band.hide()
            area, curve = self.band.rect(), self.session.shown_target
            if curve is not None:
                inside = {index for index, (hz, db) in enumerate(curve.points)
                          if area.contains(QPointF(math.log10(hz), db))}
                self._select(self.session.selected | inside)

    def mouseDoubleClickEvent(self, event) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.point_at(event.position()) is None:
            self.add_point(*self.hz_db(event.position()))

    def add_point(self, hz: float, db: float) -> None:
        curve = self.session.shown_target
        if curve is None:
            self.session.change_target(lambda curve: curve, "Add point")  # says that there is none yet
            return
        curve, index = curve.with_point(hz, db)
        self.session.set_target(curve, "Add point", selected={index})
        self.selection_changed.emit()

    def delete_selected(self) -> None:
        selected = set(self.session.selected)
        if selected:
            self.session.change_target(lambda curve: curve.without(selected), "Delete point")
            self._select(set())

    def wheelEvent(self, event) -> None:
        notches = event.angleDelta().y() / 120
        hz, db = self.hz_db(event.position())
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            (low, high), (bottom, top) = self.view()
            scale = 0.85 ** notches
            self.set_view((hz * (low / hz) ** scale, hz * (high / hz) ** scale),
                          (db + (bottom - db) * scale, db + (top - db) * scale))
        elif self.session.shown_target is not None and notches:
            step = SLOPE_DB * notches * (0.2 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1.0)
            self.session.change_target(lambda curve: curve.steeper(hz, step), "Change slope",
                                       ("slope", int(np.searchsorted(self.session.shown_target.hz, hz))))
        event.accept()

    def keyPressEvent(self, event) -> None:
        curve, key = self.session.shown_target, event.key()
        keys = Qt.Key
        moves = {keys.Key_Left: (-1, 0), keys.Key_Right: (1, 0), keys.Key_Up: (0, 1), keys.Key_Down: (0, -1)}
        if curve is None:
            super().keyPressEvent(event)
        elif key in (keys.Key_Delete, keys.Key_Backspace):
            self.delete_selected()
        elif key in (keys.Key_N, keys.Key_P):
            step, last = (1, -1) if key == keys.Key_N else (-1, 0)
            now = max(self.session.selected, default=last)
            self._select({(now + step) % len(curve.points)})
        elif key == keys.Key_Insert:
            hz = math.sqrt(max(self.view()[0][0], LOWEST_HZ) * min(self.view()[0][1], HIGHEST_HZ))
            self.add_point(hz, float(curve.at(hz)))
        elif key == keys.Key_A and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._select(set(range(len(curve.points))))
        elif key == keys.Key_Escape and self.session.selected:
            self._select(set())
        elif key in moves and self.session.selected:
            fine = 0.2 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1.0
            self._nudge(moves[key][0] * fine, moves[key][1] * fine)
        else:
            super().keyPressEvent(event)

    def _nudge(self, across: float, up: float) -> None:
        selected, key = set(self.session.selected), ("nudge", tuple(self.session.selected))

        def change(curve):
            if len(selected) > 1:
                return curve.shifted(up * NUDGE_DB, selected)
            index = next(iter(selected))
            hz, db = curve.points[index]
            return curve.moved(index, hz * 2 ** (across * NUDGE_OCTAVES), db + up * NUDGE_DB)
        self.session.change_target(change, "Move point", key)

    def contextMenuEvent(self, event) -> None:
        hz, db = self.hz_db(event.pos())
        menu = QMenu(self)
        menu.addAction("Add point here", lambda: self.add_point(hz, db))
        delete = menu.addAction("Delete selected points", self.delete_selected)
        delete.setEnabled(bool(self.session.selected))
        menu.addAction("Select all points", lambda: self._select(set(range(len(self.session.shown_target.points))))
                       if self.session.shown_target else None)
        menu.addSeparator()
        menu.addAction("Show all frequencies and levels", self.reset_view)
        menu.exec(event.globalPos())

    def leaveEvent(self, event) -> None:
        self.hovered.emit("")
        super().leaveEvent(event)
