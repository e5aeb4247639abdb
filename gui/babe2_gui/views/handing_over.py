"""Hands the current take to other programs as a file: dragged onto a track, or copied to be pasted there."""

from __future__ import annotations

import hashlib
import json
import os

from PySide6.QtCore import QEvent, QMimeData, QObject, QSettings, Qt, QUrl, Signal
from PySide6.QtGui import QDrag, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget

from ..model.handing_out import hand_out
from .widgets import label

MOST_KNOWN = 500  # takes whose files are remembered
KEY = "handed_over"


class HandOver(QObject):
    """The current take, after the chain, as a file that is written once and stays. Signal: changed, when writing
    begins or ends."""

    changed = Signal()

    def __init__(self, session, settings: QSettings, parent: QObject | None = None):
        super().__init__(parent)
        self.session, self.settings = session, settings
        self._writing: dict[str, list] = {}  # what to call with each file once it is whole

    @property
    def writing(self) -> bool:
        return self._key() in self._writing

    @property
    def path(self) -> str | None:
        """The current take's file; None if there is none yet, or it has been changed since."""
        path, *state = self._known().get(self._key(), [None])
        return path if path and state == _state(path) else None

    def write(self, then=None) -> None:
        """Has the file written in the background, if it is not there, and calls `then` with its path."""
        session, take, key = self.session, self.session.document.take, self._key()
        if take is None:
            session.report("There is no take yet: restore the recording first.")
            return
        if self.path:
            if then:
                then(self.path)
            return
        begun = key in self._writing
        self._writing.setdefault(key, []).extend([then] if then else [])
        if begun:
            return
        recording, audio = session.recording, session.after_chain()

        def work():
            path, said = hand_out(audio(), take.start, recording, take.options.seed)
            return str(path), said, _state(path)

        def done(made) -> None:
            path, said, state = made
            known = {old: file for old, file in self._known().items() if old != key} | {key: [path, *state]}
            self.settings.setValue(KEY, json.dumps(dict(list(known.items())[-MOST_KNOWN:])))
            session.report(" ".join(said))
            for then in self._ended(key):
                then(path)

        def failed(error) -> None:
            self._ended(key)
            session.report(error)
        self.changed.emit()
        session.tasks.run(work, done, failed)

    def _ended(self, key: str) -> list:
        waiting = self._writing.pop(key)
        self.changed.emit()
        return waiting

    def copy(self) -> None:
        """Puts the file on the clipboard: as a file to be pasted, and its path as text."""
        def put(path: str) -> None:
            data = _data(path)
            data.setText(path)
            QGuiApplication.clipboard().setMimeData(data)
            self.session.report(f"Copied {path}: paste it in the DAW, or into the name field of its import window.")
        self.write(put)

    def drag(self, source: QWidget) -> None:
        """Drags the file, which is there; to be copied only, for after a move the other program would delete it."""
        drag = QDrag(source)
        drag.setMimeData(_data(self.path))
        drag.setPixmap(label(f"  {os.path.basename(self.path)}  ").grab())
        drag.exec(Qt.DropAction.CopyAction)

    def _key(self) -> str:
        """What the file is made of: a take, and the chain after it."""
        document = self.session.document
        after = [effect for effect in document.after if effect.enabled]
        return f"{document.current} {hashlib.sha1(repr(after).encode()).hexdigest()}"

    def _known(self) -> dict[str, list]:
        try:
            return dict(json.loads(self.settings.value(KEY, "{}")))
        except (TypeError, ValueError):
            return {}


def _state(path) -> list[int]:
    """What tells whether a file is as it was; [] if it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _data(path: str) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(path)])
    return data


class Grip(QObject):
    """Lets the take be dragged from a widget.

    Its file is written when a drag begins. If that takes a while, the window goes on working; the drag goes on once the
    file is whole, or is started again.
    """

    def __init__(self, widget: QWidget, hand_over: HandOver, is_take=lambda position: True):
        """is_take: whether there is a take at a position of the widget."""
        super().__init__(widget)
        self.widget, self.hand_over, self.is_take = widget, hand_over, is_take
        self._pressed_at, self._asked = None, False
        widget.installEventFilter(self)

    def eventFilter(self, watched, event) -> bool:
        kind = event.type()
        if kind == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            at = event.position().toPoint()
            self._pressed_at, self._asked = at if self.is_take(at) else None, False
        elif kind == QEvent.Type.MouseButtonRelease:
            self._pressed_at = None
        elif kind == QEvent.Type.MouseMove and self._pressed_at is not None:
            moved = (event.position().toPoint() - self._pressed_at).manhattanLength()
            if self._asked or moved >= QApplication.startDragDistance():
                self._drag()
            return True
        return False

    def _drag(self) -> None:
        if isinstance(self.widget, QAbstractButton):
            self.widget.setDown(False)  # releasing it now is not a click
        if self.hand_over.path:
            self._pressed_at = None
            self.hand_over.drag(self.widget)
        elif not self._asked:
            self._asked = True
            self.hand_over.write()
