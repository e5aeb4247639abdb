"""A line across the window that says what went wrong and offers a way out; it never stops the work."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QSizePolicy

from .widgets import button, label, named, row, tool


class Banner(QFrame):
    """Shows one sentence at a time, the latest."""

    def __init__(self):
        super().__init__()
        self.setObjectName("banner")
        self.text = label()
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.action = named(button(""), "Way out")
        close = tool("remove", "Dismiss", "Dismiss this message (Escape)", style="flat")
        close.clicked.connect(self.hide)
        self.setLayout(row(self.text, self.action, close, spacing=10, margins=(12, 5, 8, 5)))
        self._then: Callable | None = None
        self.action.clicked.connect(self._act)
        self.hide()

    def say(self, sentence: str, error: bool = False, action: str = "", then: Callable | None = None) -> None:
        self.setProperty("kind", "error" if error else "note")
        self.style().unpolish(self)
        self.style().polish(self)
        self.text.setText(sentence)
        self.setAccessibleName(sentence)
        self._then = then
        self.action.setText(action)
        self.action.setAccessibleName(action)
        self.action.setVisible(bool(action))
        self.show()

    def _act(self) -> None:
        self.hide()
        if self._then:
            self._then()
