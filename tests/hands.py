"""What a user's hands do to the app's widgets, for its tests."""

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def mouse(widget, kind, position, button=LEFT, modifiers=NONE):
    viewport = widget.viewport()
    event = QMouseEvent(kind, QPointF(position), viewport.mapToGlobal(QPointF(position)), button,
                        button if kind != QEvent.Type.MouseButtonRelease else Qt.MouseButton.NoButton, modifiers)
    QApplication.sendEvent(viewport, event)


def drag(widget, *positions, button=LEFT, modifiers=NONE):
    mouse(widget, QEvent.Type.MouseButtonPress, positions[0], button, modifiers)
    for position in positions[1:]:
        mouse(widget, QEvent.Type.MouseMove, position, button, modifiers)
    mouse(widget, QEvent.Type.MouseButtonRelease, positions[-1], button, modifiers)


def wheel(widget, position, notches, modifiers=NONE):
    viewport = widget.viewport()
    QApplication.sendEvent(viewport, QWheelEvent(
        QPointF(position), viewport.mapToGlobal(QPointF(position)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, modifiers, Qt.ScrollPhase.NoScrollPhase, False))


def key(widget, which, modifiers=NONE):
    widget.setFocus()
    QTest.keyClick(widget, which, modifiers)
