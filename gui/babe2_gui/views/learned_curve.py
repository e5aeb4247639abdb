"""The learned response in the EQ plot: its curve and breakpoints, its band of deviation, and how it comes to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QObject, QPointF, Qt, QTimer
from PySide6.QtGui import QColor, QPainterPath, QPolygonF
from PySide6.QtWidgets import QGraphicsPathItem

from ..model.take import Learned
from . import theme

FRAMES, FRAME_MS = 6, 30  # of the curve's way from one step to the next
GHOSTS = 5  # how many steps stay visible behind it


class LearnedCurve(QObject):
    """Draws a `Learned` with items for a plot over log10 of Hz.

    band: one standard deviation to either side, with gaps where it is not known · ghosts: earlier steps · curve ·
    breakpoints.
    """

    def __init__(self, parent: QObject):
        super().__init__(parent)
        self.band = QGraphicsPathItem()
        self.band.setPen(pg.mkPen(None))
        colour = QColor(theme.DEVIATION.colour)
        colour.setAlpha(theme.DEVIATION.alpha)
        self.band.setBrush(colour)
        self.ghosts = pg.PlotDataItem(connect="finite")
        self.curve = pg.PlotDataItem(antialias=True)
        self.breakpoints = pg.ScatterPlotItem(symbol="d", size=11, brush=theme.PLOT)
        self._tween = QTimer(self, interval=FRAME_MS, timeout=self._animate)
        self._from: Learned | None = None
        self._to: Learned | None = None
        self._frame = 0
        self._past: list[Learned] = []

    @property
    def has_band(self) -> bool:
        """Whether the deviation of what is shown is known anywhere."""
        return self._to is not None and self._to.deviation_db is not None and bool(np.isfinite(
            self._to.deviation_db).any())

    def set_pens(self, scale: float) -> None:
        """Lines for a screen of `scale` of its own pixels to one of the window's."""
        style = theme.CURVES["learned"]
        self.curve.setPen(pg.mkPen(style.colour, width=style.width * scale, style=style.stroke))
        self.ghosts.setPen(pg.mkPen(213, 94, 0, 60, width=scale))
        self.breakpoints.setPen(pg.mkPen(style.colour, width=2 * scale))

    def set_hidden(self, hidden: set[str]) -> None:
        """Hides what is named: "learned" is all of it, "deviation" its band."""
        for item in (self.curve, self.breakpoints, self.ghosts):
            item.setVisible("learned" not in hidden)
        self.band.setVisible(hidden.isdisjoint(("learned", "deviation")))

    def show(self, learned: Learned | None, animate: bool) -> None:
        """Shows a response, or none; while it is being learned it glides from step to step."""
        self._tween.stop()
        if learned is None or not animate:
            self._past, self._from, self._to = [], None, learned
            self.ghosts.setData([], [])
            self._draw(learned)
            return
        if self._to is not None:
            self._past = [*self._past, self._to][-GHOSTS:]
        same = self._to is not None and len(self._to.hz) == len(learned.hz)
        self._from, self._to, self._frame = self._to if same else None, learned, 0
        if self._past:
            gap = [np.nan]
            self.ghosts.setData(np.concatenate([np.append(np.log10(past.hz), gap) for past in self._past]),
                                np.concatenate([np.append(past.db, gap) for past in self._past]))
        if self._from is None:
            self._draw(learned)
        else:
            self._tween.start()

    def _animate(self) -> None:
        self._frame += 1
        share = self._frame / FRAMES
        if share >= 1 or self._from is None or self._to is None:
            self._tween.stop()
            self._draw(self._to)
            return
        share = share * share * (3 - 2 * share)
        breakpoints_hz = tuple(a ** (1 - share) * b ** share
                               for a, b in zip(self._from.breakpoints_hz, self._to.breakpoints_hz))
        self._draw(replace(self._to, db=self._from.db * (1 - share) + self._to.db * share,
                           breakpoints_hz=breakpoints_hz))

    def _draw(self, learned: Learned | None) -> None:
        self.band.setPath(_band(learned))
        if learned is None:
            self.curve.setData([], [])
            self.breakpoints.setData([], [])
            return
        self.curve.setData(np.log10(learned.hz), learned.db)
        hz, db = learned.breakpoints
        self.breakpoints.setData(np.log10(hz) if len(hz) else [], db if len(hz) else [])


def _band(learned: Learned | None) -> QPainterPath:
    """The area within one deviation, a piece for each stretch over which it is known."""
    path = QPainterPath()
    if learned is None or learned.deviation_db is None:
        return path
    known = np.isfinite(learned.deviation_db)
    edges = np.flatnonzero(np.diff(known, prepend=False, append=False))
    for first, last in zip(edges[::2], edges[1::2]):
        x, db, doubt = (values[first:last] for values in (np.log10(learned.hz), learned.db, learned.deviation_db))
        above, below = ([QPointF(*point) for point in zip(x, db + sign * doubt)] for sign in (1, -1))
        path.addPolygon(QPolygonF([*above, *reversed(below)]))
        path.closeSubpath()
    path.setFillRule(Qt.FillRule.WindingFill)
    return path
