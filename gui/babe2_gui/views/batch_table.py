"""The batch queue's table: a row for each file, with its state and how far it is."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QMimeData, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QTableView

from babe2_host.states import JobState

from ..model.batch_entries import Entry
from ..model.batch_queue import BatchQueue
from ..model.render import clock
from . import theme
from .widgets import plain_tip, take_drag

COLUMNS = ("Recording", "Folder", "Length", "State")
NAME, FOLDER, LENGTH, STATE = range(4)
ROWS = "application/x-babe2-batch-rows"
EMPTY = "Drop recordings, folders or a list (.csv, .toml) here, or add them with the buttons above."
COLOURS = {JobState.DONE: theme.CURVES["restored"].colour, JobState.AS_BEFORE: theme.DIM, JobState.FAILED: "#f0875c"}
ROW_FLAGS = (Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled
             | Qt.ItemFlag.ItemNeverHasChildren)
ROW_HEIGHT, BAR_HEIGHT = 38, 4


class QueueTable(QAbstractTableModel):
    """The queue as Qt's tables want it. Its rows can be dragged to another place."""

    def __init__(self, queue: BatchQueue):
        super().__init__()
        self.queue = queue
        self.entries: list[Entry] = []

    def show(self) -> None:
        """The queue may hold other entries now."""
        if self.entries is self.queue.entries:
            if self.entries:
                self.dataChanged.emit(self.index(0, 0), self.index(len(self.entries) - 1, STATE))
            return
        self.beginResetModel()
        self.entries = self.queue.entries
        self.endResetModel()

    def show_entry(self, at: int) -> None:
        self.dataChanged.emit(self.index(at, STATE), self.index(at, STATE))

    def rowCount(self, parent=None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def columnCount(self, parent=None) -> int:
        return len(COLUMNS)

    def headerData(self, section, orientation, role=Qt.ItemDataRole.DisplayRole):
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        entry, column, roles = self.entries[index.row()], index.column(), Qt.ItemDataRole
        if role == roles.DisplayRole:
            return (entry.source.name, entry.source.parent.name, clock(entry.length_s) if entry.length_s else "–",
                    entry.words)[column]
        if role == roles.ToolTipRole:
            return plain_tip(entry.words if column == STATE else str(entry.source))
        if role == roles.AccessibleTextRole:
            return f"{entry.source.name}: {entry.words}" if column in (NAME, STATE) else None
        if role == roles.ForegroundRole and column in (FOLDER, LENGTH):
            return QColor(theme.DIM)
        if role == roles.ForegroundRole and column == STATE and entry.state in COLOURS:
            return QColor(COLOURS[entry.state])
        if role == roles.UserRole:
            return entry
        return None

    def flags(self, index):
        return ROW_FLAGS if index.isValid() else Qt.ItemFlag.ItemIsDropEnabled  # between rows, not on them

    def supportedDropActions(self):
        return Qt.DropAction.CopyAction | Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [ROWS, "text/uri-list"]

    def mimeData(self, indexes) -> QMimeData:
        data = QMimeData()
        data.setData(ROWS, " ".join(str(at) for at in sorted({index.row() for index in indexes})).encode())
        return data

    def dropMimeData(self, data, action, row, column, parent) -> bool:
        if not data.hasFormat(ROWS):
            return False
        self.queue.move([int(at) for at in bytes(data.data(ROWS).data()).split()], row if row >= 0 else self.rowCount())
        return True


class StateDelegate(QStyledItemDelegate):
    """A state in words, with a bar below while the file is rendered."""

    def initStyleOption(self, option, index) -> None:
        super().initStyleOption(option, index)
        if index.data(Qt.ItemDataRole.UserRole).state != JobState.FAILED:  # whose reason may begin with a long path
            option.textElideMode = Qt.TextElideMode.ElideRight

    def paint(self, painter: QPainter, option, index) -> None:
        entry = index.data(Qt.ItemDataRole.UserRole)
        if entry.state != JobState.RUNNING:
            super().paint(painter, option, index)
            return
        rect = QRect(option.rect)
        option.rect = rect.adjusted(0, 0, 0, -BAR_HEIGHT - 5)
        super().paint(painter, option, index)
        groove = QRectF(rect.x() + 4, rect.bottom() - BAR_HEIGHT - 5, rect.width() - 8, BAR_HEIGHT)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, share in ((theme.LINE, 1.0), (theme.ACCENT, entry.share)):
            painter.setBrush(QColor(colour))
            painter.drawRoundedRect(QRectF(groove.x(), groove.y(), groove.width() * share, BAR_HEIGHT), 2, 2)
        painter.restore()


class Table(QTableView):
    """Says what to do while it is empty; files that are dropped on it are the window's."""

    def dragMoveEvent(self, event) -> None:
        super().dragMoveEvent(event)
        if event.source() is not self and event.isAccepted():
            take_drag(event)

    def dropEvent(self, event) -> None:
        if event.source() is self:
            super().dropEvent(event)
        else:
            self.window().dropEvent(event)

    def paintEvent(self, event) -> None:
        super().paintEvent(event)
        if not self.model().rowCount():
            painter = QPainter(self.viewport())
            painter.setPen(QColor(theme.DIM))
            painter.drawText(self.viewport().rect().adjusted(24, 0, -24, 0),
                             Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, EMPTY)
