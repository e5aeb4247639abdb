"""Four steps through the window, at the first start."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from .widgets import button, label, row

WIDTH = 330


class Tour(QWidget):
    """Covers a window; leaves what it is about uncovered.

    Args:
        steps: (widget, title, text) each.
        done: called at the end, also if it is skipped.
    """

    def __init__(self, window: QWidget, steps: list[tuple[QWidget, str, str]], done):
        super().__init__(window)
        self.steps, self.done, self.at = steps, done, 0
        self._focused = window.focusWidget()
        self.frame = QFrame(self)
        self.frame.setObjectName("tour")
        self.frame.setFixedWidth(WIDTH)
        self.title, self.text, self.count = label("", "heading"), label(), label("", "dim")
        self.text.setWordWrap(True)
        self.skip, self.next = button("Skip"), button("Next", primary=True)
        self.skip.clicked.connect(self.finish)
        self.next.clicked.connect(self.forward)
        layout = QVBoxLayout(self.frame)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(10)
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        layout.addLayout(row(self.count, 1, self.skip, self.next))
        window.installEventFilter(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setGeometry(window.rect())
        self.show()
        self.raise_()
        self._show_step()

    def eventFilter(self, watched, event) -> bool:
        if event.type() == event.Type.Resize:
            self.setGeometry(watched.rect())
            self._place()
        return False

    def _show_step(self) -> None:
        _, title, text = self.steps[self.at]
        self.title.setText(title)
        self.text.setText(text)
        self.count.setText(f"{self.at + 1} of {len(self.steps)}")
        last = self.at == len(self.steps) - 1
        self.next.setText("Start" if last else "Next")
        self.skip.setVisible(not last)
        self.frame.setAccessibleName(f"{title}. {text}")
        self.next.setFocus()
        self._place()

    def _hole(self) -> QRect:
        widget = self.steps[self.at][0]
        return QRect(widget.mapTo(self.parentWidget(), QPoint(0, 0)), widget.size())

    def _place(self) -> None:
        """Next to what it is about, where there is room."""
        self.frame.adjustSize()
        hole, size, gap = self._hole(), self.frame.size(), 16
        x, y = hole.center().x() - size.width() // 2, hole.center().y() - size.height() // 2
        if hole.left() > size.width() + gap:
            x = hole.left() - size.width() - gap
        elif hole.top() > size.height() + gap:
            y = hole.top() - size.height() - gap
        elif self.height() - hole.bottom() > size.height() + gap:
            y = hole.bottom() + gap
        self.frame.move(min(max(x, gap), self.width() - size.width() - gap),
                        min(max(y, gap), self.height() - size.height() - gap))
        self.update()

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        path, hole = QPainterPath(), QPainterPath()
        path.addRect(self.rect().toRectF())
        hole.addRoundedRect(self._hole().toRectF(), 6, 6)
        painter.fillPath(path.subtracted(hole), QColor(10, 11, 13, 185))

    def mousePressEvent(self, event) -> None:
        event.accept()

    def keyPressEvent(self, event) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.finish()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Right):
            self.forward()

    def forward(self) -> None:
        self.at += 1
        if self.at >= len(self.steps):
            self.finish()
        else:
            self._show_step()

    def finish(self) -> None:
        self.parentWidget().removeEventFilter(self)
        self.hide()
        self.deleteLater()
        if self._focused:
            self._focused.setFocus()
        self.done()
