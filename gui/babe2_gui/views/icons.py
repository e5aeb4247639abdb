"""The app's icons, drawn as lines, so that they are sharp at every scale and of the text's colour."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

from . import theme

SIZE = 16


def icon(name: str) -> QIcon:
    """An icon by name, with a dim one for when it is disabled."""
    made = QIcon()
    for mode, colour in ((QIcon.Mode.Normal, theme.TEXT), (QIcon.Mode.Disabled, "#666c76")):
        for scale in (1, 2, 3):
            made.addPixmap(_pixmap(name, colour, scale), mode)
    return made


def swatch(style: theme.CurveStyle | theme.BandStyle) -> QIcon:
    """A piece of a curve or a band for its legend entry; faint where it is switched off."""
    made = QIcon()
    for state, opacity in ((QIcon.State.On, 1.0), (QIcon.State.Off, 0.28)):
        for scale in (1, 2, 3):
            pixmap = _blank(26, 12, scale)
            painter = QPainter(pixmap)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setOpacity(opacity)
            colour = QColor(style.colour)
            if isinstance(style, theme.BandStyle):
                colour.setAlpha(2 * style.alpha)  # as a small piece it would hardly be seen
                painter.fillRect(QRectF(1, 1, 24, 10), colour)
            else:
                painter.setPen(QPen(colour, style.width, style.stroke))
                painter.drawLine(QPointF(1, 6), QPointF(25, 6))
            painter.end()
            made.addPixmap(pixmap, QIcon.Mode.Normal, state)
    return made


def _blank(width: int, height: int, scale: int) -> QPixmap:
    pixmap = QPixmap(width * scale, height * scale)
    pixmap.setDevicePixelRatio(scale)
    pixmap.fill(Qt.GlobalColor.transparent)
    return pixmap


def _pixmap(name: str, colour: str, scale: int) -> QPixmap:
    pixmap = _blank(SIZE, SIZE, scale)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colour), 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap,
                        Qt.PenJoinStyle.RoundJoin))
    _DRAW[name](painter, QColor(colour))
    painter.end()
    return pixmap


def _lines(*lines):
    def draw(painter: QPainter, colour: QColor) -> None:
        for line in lines:
            painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in line]))
    return draw


def _solid(*points):
    def draw(painter: QPainter, colour: QColor) -> None:
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in points]))
    return draw


def _pause(painter: QPainter, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.drawRect(QRectF(4, 3, 2, 10))
    painter.drawRect(QRectF(10, 3, 2, 10))


def _loop(painter: QPainter, colour: QColor) -> None:
    path = QPainterPath(QPointF(5, 12.5))
    path.lineTo(4.5, 12.5)
    path.arcTo(QRectF(1.5, 3.5, 6, 9), 270, -180)
    path.lineTo(11.5, 3.5)
    path.arcTo(QRectF(8.5, 3.5, 6, 9), 90, -180)
    path.lineTo(8.5, 12.5)
    painter.drawPath(path)
    painter.drawPolyline(QPolygonF([QPointF(10.5, 10.3), QPointF(8.3, 12.5), QPointF(10.5, 14.7)]))


def _dice(painter: QPainter, colour: QColor) -> None:
    painter.drawRoundedRect(QRectF(2.5, 2.5, 11, 11), 2.5, 2.5)
    painter.setBrush(colour)
    painter.setPen(Qt.PenStyle.NoPen)
    for x, y in ((5.5, 5.5), (10.5, 5.5), (8, 8), (5.5, 10.5), (10.5, 10.5)):
        painter.drawEllipse(QPointF(x, y), 1.1, 1.1)


def _grip(painter: QPainter, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.setPen(Qt.PenStyle.NoPen)
    for x in (5.5, 10.5):
        for y in (3.5, 8, 12.5):
            painter.drawEllipse(QPointF(x, y), 1.3, 1.3)


def _smooth(painter: QPainter, colour: QColor) -> None:
    painter.drawPolyline(QPolygonF([QPointF(1.5 + i * 0.5, 8 - 4.5 * math.sin(i * math.pi / 13)) for i in range(27)]))


def _spectrogram(painter: QPainter, colour: QColor) -> None:
    for x, top in ((2.5, 9), (5.5, 5), (8.5, 7), (11.5, 2.5), (14, 8)):
        painter.drawLine(QPointF(x, 13.5), QPointF(x, top))


_DRAW = {
    "play": _solid((4, 2.5), (13, 8), (4, 13.5)),
    "pause": _pause,
    "stop": _solid((3.5, 3.5), (12.5, 3.5), (12.5, 12.5), (3.5, 12.5)),
    "loop": _loop,
    "draw": _lines([(2, 14), (2.8, 10.6), (10.8, 2.6), (13.4, 5.2), (5.4, 13.2), (2, 14)], [(9.2, 4.2), (11.8, 6.8)]),
    "smooth": _smooth,
    "up": _lines([(8, 13), (8, 3)], [(4.5, 6.5), (8, 3), (11.5, 6.5)]),
    "down": _lines([(8, 3), (8, 13)], [(4.5, 9.5), (8, 13), (11.5, 9.5)]),
    "add": _lines([(8, 3), (8, 13)], [(3, 8), (13, 8)]),
    "remove": _lines([(3.5, 3.5), (12.5, 12.5)], [(12.5, 3.5), (3.5, 12.5)]),
    "open": _lines([(1.5, 13), (1.5, 3.5), (6, 3.5), (7.5, 5.5), (13, 5.5), (13, 7.5)],
                   [(1.5, 13), (4, 7.5), (15, 7.5), (12.5, 13), (1.5, 13)]),
    "reset": _lines([(3, 3), (3, 7), (7, 7)], [(3.2, 6.8), (5, 4.4), (8, 3.4), (11.4, 4.8), (12.8, 8), (11.4, 11.4),
                                               (8, 12.8), (4.6, 11.4)]),
    "wave": _lines([(1.5, 8), (3.5, 8), (5.5, 3), (7.5, 13), (9.5, 4.5), (11.5, 10.5), (12.7, 8), (14.5, 8)]),
    "spectrogram": _spectrogram,
    "fit": _lines([(1.5, 4), (1.5, 12)], [(14.5, 4), (14.5, 12)], [(3.5, 8), (12.5, 8)],
                  [(5.5, 6), (3.5, 8), (5.5, 10)], [(10.5, 6), (12.5, 8), (10.5, 10)]),
    "zoom": _lines([(4, 3), (4, 13)], [(12, 3), (12, 13)], [(0.8, 8), (2.8, 8)], [(13.2, 8), (15.2, 8)],
                   [(6, 8), (10, 8)]),
    "dice": _dice,
    "grip": _grip,
}
