"""Small parts that panels are made of: each has a name for screen readers and says what it is for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import unquote_to_bytes

from PySide6 import QtGui
from PySide6.QtCore import QSignalBlocker, Qt, QUrl
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QToolButton,
    QWidget,
)

from .icons import icon


def plain_tip(text: str) -> str:
    """A tip that shows its text as it is. What looks like HTML would be taken for that, and can name files to be read:
    names and sentences may come from a stranger's file.
    """
    if not QtGui.Qt.mightBeRichText(text):
        return text
    return QtGui.Qt.convertFromPlainText(text, Qt.WhiteSpaceMode.WhiteSpaceNormal)


def named(widget: QWidget, name: str, tip: str = "") -> QWidget:
    """A widget with a name for screen readers and a tip."""
    widget.setAccessibleName(name)
    widget.setAccessibleDescription(tip)
    widget.setToolTip(plain_tip(tip or name))
    return widget


def tool(picture: str | None, name: str, tip: str = "", text: str = "", checkable: bool = False,
         style: str = "") -> QToolButton:
    """A button with an icon, text or both. Only Tab gives it the focus: Space belongs to the transport."""
    button = named(QToolButton(), name, tip)
    if picture:
        button.setIcon(icon(picture))
    if text:
        button.setText(f" {text}" if picture else text)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon if picture
                                  else Qt.ToolButtonStyle.ToolButtonTextOnly)
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)  # never narrower than its text
    button.setObjectName(style)
    return button


def button(text: str, tip: str = "", primary: bool = False) -> QPushButton:
    made = named(QPushButton(text), text.replace("&", "").rstrip("…"), tip)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if primary:
        made.setObjectName("primary")
    return made


def label(text: str = "", style: str = "", buddy: QWidget | None = None) -> QLabel:
    """Text that is shown as it is, never taken for HTML."""
    made = QLabel(text, textFormat=Qt.TextFormat.PlainText)
    made.setObjectName(style)
    if buddy:
        made.setBuddy(buddy)
    return made


def rule() -> QFrame:
    """A thin line between groups."""
    line = QFrame()
    line.setObjectName("rule")
    line.setFixedHeight(1)
    return line


def row(*parts, spacing: int = 6, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QHBoxLayout:
    """Widgets and layouts side by side; a number is a stretch."""
    layout = QHBoxLayout()
    layout.setSpacing(spacing)
    layout.setContentsMargins(*margins)
    for part in parts:
        if isinstance(part, int):
            layout.addStretch(part)
        elif isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
    return layout


@contextmanager
def quiet(*widgets: QWidget) -> Iterator[None]:
    """Nothing is signalled by widgets meanwhile: they are shown what is, and the user has changed nothing."""
    with ExitStack() as blocked:
        for widget in widgets:
            blocked.enter_context(QSignalBlocker(widget))
        yield


def local_paths(event) -> list[str]:
    """The files and folders that a drag brings."""
    return [path for url in dropped_urls(event) if (path := _local_path(url))]


def dropped_urls(event) -> list[QUrl]:
    """What a drag brings: its list of addresses, or the file addresses in its text if a program gives only that."""
    data = event.mimeData()
    if data.hasUrls():
        return [url for url in data.urls() if url.scheme()]  # lists may have comments
    return [QUrl(line.strip()) for line in data.text().splitlines() if line.startswith("file:")]


def _local_path(url: QUrl) -> str:
    """The file that an address means; "" if that is not on this computer."""
    if not url.isLocalFile():
        return ""
    if "\ufffd" in url.toLocalFile():  # a name that is not UTF-8, which Qt's text cannot hold
        return os.fsdecode(unquote_to_bytes(url.path(QUrl.ComponentFormattingOption.FullyEncoded)))
    path, plain = url.toLocalFile().removeprefix("//localhost"), QUrl.ComponentFormattingOption.FullyDecoded
    for mark, rest in (("?", url.query(plain)), ("#", url.fragment(plain))):
        path += mark + rest if rest else ""  # not every program escapes the # of "Take #1.wav"
    return path


def take_drag(event) -> None:
    """Accepts files that are dragged over a widget. As a copy, whatever was proposed: after a move the other program
    would delete them, and some go by the answer given here, not by the drop."""
    event.setDropAction(Qt.DropAction.CopyAction)
    event.accept()


def take_drop(event) -> list[str]:
    """Accepts a drop of files, as a copy."""
    take_drag(event)
    return local_paths(event)


class _CalmWheel:
    """The wheel scrolls the panel, not the value under it, until the value has the focus."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class Combo(_CalmWheel, QComboBox):
    """A choice."""

    def __init__(self):
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)


def choice(name: str, tip: str, items: dict) -> Combo:
    """A choice of items: their words by their data."""
    made = named(Combo(), name, tip)
    for data, words in items.items():
        made.addItem(words, data)
    return made


class Number(_CalmWheel, QDoubleSpinBox):
    """A number with as many digits as it needs."""

    def __init__(self, low: float, high: float, decimals: int = 2, unit: str = "", step: float = 1.0):
        super().__init__()
        self.setDecimals(decimals)
        self.setRange(low, high)
        self.setSingleStep(step)
        self.setSuffix(f" {unit}" if unit else "")
        self.setKeyboardTracking(False)
        self.lineEdit().setTextMargins(6, 0, 2, 0)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def textFromValue(self, value: float) -> str:
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text


class Whole(_CalmWheel, QSpinBox):
    """A whole number."""

    def __init__(self, low: int, high: int):
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setRange(max(low, -2 ** 31), min(high, 2 ** 31 - 1))
        self.setKeyboardTracking(False)
        self.lineEdit().setTextMargins(6, 0, 2, 0)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


class Slider(_CalmWheel, QSlider):
    """A value by its place."""

    def __init__(self, steps: int = 1000):
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(0, steps)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
