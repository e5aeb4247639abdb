"""The batch queue's window: the files, how all are rendered, and how far it has got."""

from __future__ import annotations

from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QHeaderView,
    QProgressBar,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from babe2_fx.audio.kinds import dialog_patterns
from babe2_host.states import JobState

from ..model.batch_entries import Entry
from ..model.batch_queue import BatchQueue
from .banner import Banner
from .batch_form import BatchForm
from .batch_table import FOLDER, LENGTH, NAME, ROW_HEIGHT, STATE, QueueTable, StateDelegate, Table
from .widgets import button, label, local_paths, named, row, take_drag, take_drop, tool

KINDS = f"Recordings and lists ({dialog_patterns('.csv', '.toml')});;All files (*)"


class BatchWindow(QDialog):
    """Next to the main window, not in front of it: it can be closed while the batch runs. Signal: open_asked, with the
    path of a result."""

    open_asked = Signal(str)

    def __init__(self, queue: BatchQueue, session, parent: QWidget | None = None):
        super().__init__(parent)
        self.queue, self.session = queue, session
        self.setWindowTitle("Batch – BABE-2")
        self.setWindowFlags(self.windowFlags() | Qt.WindowType.WindowMinMaxButtonsHint)
        self.setModal(False)
        self.setAcceptDrops(True)
        self._followed, self._was_running = -1, False
        self.banner = Banner()
        self._make_table()
        self.form = BatchForm(queue, session)
        self._make_runner()
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addLayout(row(self.add_files, self.add_folder, 1, self.up, self.down, self.remove))
        left.addWidget(self.table, 1)
        left.addWidget(self.details)
        body = row(left, self.form, spacing=16)
        body.setStretch(0, 1)
        whole = QVBoxLayout()
        whole.setContentsMargins(16, 12, 16, 14)
        whole.setSpacing(12)
        whole.addLayout(body, 1)
        whole.addWidget(self.bar)
        whole.addLayout(row(self.words, 1, self.cancel, self.start))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.banner)
        layout.addLayout(whole, 1)
        for made in self.findChildren(type(self.start)):
            made.setAutoDefault(False)  # Enter opens a result; it must not start anything
        self.resize(1040, 640)
        self.setMinimumSize(860, 560)
        queue.changed.connect(self.refresh)
        queue.entry_changed.connect(self._refresh_entry)
        self.refresh()
        self.table.setFocus()

    def _make_table(self) -> None:
        self.add_files = tool("add", "Add files", "Add recordings, or a list of them: .csv or .toml (Ctrl+O)",
                              "Add files…")
        self.add_folder = tool("open", "Add a folder", "Add all recordings of a folder and the folders in it "
                               "(Ctrl+Shift+O)", "Add folder…")
        self.up = tool("up", "Move up", "Render the selected files earlier (Alt+Up)")
        self.down = tool("down", "Move down", "Render the selected files later (Alt+Down)")
        self.remove = tool("remove", "Remove", "Take the selected files out of the queue; the files themselves stay "
                           "(Delete)")
        self.model = QueueTable(self.queue)
        self.table = named(Table(), "Files of the batch", "Double-click or Enter opens a finished result; Delete "
                           "removes a file from the queue; drag, or Alt with the arrow keys, changes the order")
        self.table.setToolTip("")  # rows have their own
        self.table.setModel(self.model)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.table.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.table.setDragDropOverwriteMode(False)
        self.table.setTabKeyNavigation(False)  # Tab leaves it
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.table.setItemDelegateForColumn(STATE, StateDelegate(self.table))
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        for column, width in ((NAME, 190), (FOLDER, 110), (LENGTH, 64)):
            self.table.setColumnWidth(column, width)
        header.setStretchLastSection(True)
        self.details = named(QTextBrowser(), "About the selected file")
        self.details.setFixedHeight(96)
        self.details.setTabChangesFocus(True)
        self.add_files.clicked.connect(self._add_files)
        self.add_folder.clicked.connect(self._add_folder)
        self.up.clicked.connect(lambda: self._shift(-1))
        self.down.clicked.connect(lambda: self._shift(1))
        self.remove.clicked.connect(self._remove)
        self.table.doubleClicked.connect(self._open)
        self.table.selectionModel().selectionChanged.connect(self._show_selected)
        for key, do in ((Qt.Key.Key_Delete, self._remove), (Qt.Key.Key_Return, self._open),
                        (Qt.Key.Key_Enter, self._open), (Qt.Modifier.ALT | Qt.Key.Key_Up, lambda: self._shift(-1)),
                        (Qt.Modifier.ALT | Qt.Key.Key_Down, lambda: self._shift(1))):
            QShortcut(QKeySequence(key), self.table, do, context=Qt.ShortcutContext.WidgetShortcut)
        for key, do in (("Ctrl+O", self._add_files), ("Ctrl+Shift+O", self._add_folder),
                        ("Ctrl+Return", self.start_batch)):
            QShortcut(QKeySequence(key), self, do)

    def _make_runner(self) -> None:
        self.bar = named(QProgressBar(), "Progress of the batch")
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.words = label("", "dim")
        self.cancel = button("Cancel", "End at once. What is done is kept, and starting again goes on from there")
        self.start = button("Start", "Render the files one after another (Ctrl+Enter). What was finished before with "
                            "the same settings is not made again", primary=True)
        self.start.setMinimumWidth(120)
        self.cancel.clicked.connect(self.queue.cancel)
        self.start.clicked.connect(self.start_batch)

    # ------------------------------------------------------------------------------------------------ showing

    def refresh(self) -> None:
        kept = set(map(id, self.selected())) if self.model.entries is not self.queue.entries else ()
        self.model.show()
        if kept:
            self._select([at for at, entry in enumerate(self.queue.entries) if id(entry) in kept])
        running, some = self.queue.running, bool(self.queue.entries)
        for part in (self.add_files, self.add_folder):
            part.setEnabled(not running)
        if self._was_running and not running and not self.selected():  # why something failed is to be read
            failed = (at for at, entry in enumerate(self.queue.entries) if entry.state == JobState.FAILED)
            self._select(list(failed)[:1])
        self._was_running = running
        self.cancel.setVisible(running)
        self.start.setEnabled(some and not running and not self.queue.looking)
        self.form.refresh()
        self._show_selected()
        self._show_progress()

    def _refresh_entry(self, at: int) -> None:
        entry = self.queue.entries[at]
        self.model.show_entry(at)
        if entry.state == JobState.RUNNING and at != self._followed:
            self._followed = at
            self.table.scrollTo(self.model.index(at, NAME))
        if self.table.currentIndex().row() == at:
            self._show_details()
        self._show_progress()

    def _show_progress(self) -> None:
        self.bar.setValue(round(self.queue.share * 1000))
        self.words.setText(self.queue.words())

    def selected(self) -> list[Entry]:
        return [self.model.entries[at] for at in self.selected_rows()]

    def selected_rows(self) -> list[int]:
        ranges = self.table.selectionModel().selection()
        return sorted({at for part in ranges for at in range(part.top(), part.bottom() + 1)})

    def _select(self, rows: list[int]) -> None:
        chosen, flag = self.table.selectionModel(), QItemSelectionModel.SelectionFlag
        together, begun = QItemSelection(), None
        for at, following in zip(rows, [*rows[1:], None]):
            begun = at if begun is None else begun
            if following != at + 1:
                together.select(self.model.index(begun, 0), self.model.index(at, STATE))
                begun = None
        chosen.select(together, flag.ClearAndSelect)
        if rows:
            chosen.setCurrentIndex(self.model.index(rows[-1], 0), flag.NoUpdate)

    def _show_selected(self, *_) -> None:
        some = bool(self.table.selectionModel().hasSelection()) and not self.queue.running
        for part in (self.up, self.down, self.remove):
            part.setEnabled(some)
        self._show_details()

    def _show_details(self) -> None:
        chosen = self.selected()
        if len(chosen) != 1:
            text = f"{len(chosen)} files are selected." if chosen else "Select a file to read about it."
        else:
            entry = chosen[0]
            to = f" → {entry.result}" if entry.result else ""
            text = "\n".join((f"{entry.source}{to}", entry.words, *entry.notes))
        if self.details.toPlainText() != text:
            self.details.setPlainText(text)

    # ---------------------------------------------------------------------------------------------------- doing

    def start_batch(self) -> None:
        self.form.take_folder()
        self.banner.hide()
        self.queue.start(self.session.document.target, self.session.document.options.device)

    def _add_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Add recordings or lists", "", KINDS)
        if paths:
            self.queue.add(paths)

    def _add_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Add all recordings of a folder")
        if path:
            self.queue.add([path])

    def _remove(self) -> None:
        rows = self.selected_rows()
        if rows:
            self.queue.remove(rows)
            if self.queue.entries and not self.queue.running:
                self._select([min(rows[0], len(self.queue.entries) - 1)])

    def _shift(self, step: int) -> None:
        rows = self.selected_rows()
        if rows:
            self.queue.shift(rows, step)

    def _open(self, *_) -> None:
        chosen = self.selected()
        if len(chosen) != 1:
            return
        entry = chosen[0]
        if entry.result is None:
            why = entry.reason if entry.state == JobState.FAILED else "Only a finished result can be opened."
            self.queue.report(f"{entry.source.name} is not done. {why}")
        elif not entry.result.is_file():
            self.queue.report(f"{entry.result} is no longer there. Start makes it again.", True)
        else:
            self.open_asked.emit(str(entry.result))

    def reject(self) -> None:
        """Escape: away with a message first, then with the window; the batch goes on."""
        if self.banner.isVisible():
            self.banner.hide()
        else:
            super().reject()

    def dragEnterEvent(self, event) -> None:
        if local_paths(event):
            take_drag(event)

    def dragMoveEvent(self, event) -> None:
        take_drag(event)

    def dropEvent(self, event) -> None:
        self.queue.add(take_drop(event))
