"""The batch queue's window: the files, how all are rendered, and how far they are."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from babe2_fx.catalogue.presets import MISSING, QUALITIES, PresetError, list_presets, load_preset
from babe2_host.audio.writing import WRITABLE
from babe2_host.boards.catalogue import find_board, list_boards
from babe2_host.boards.plugins import BoardError
from babe2_host.states import JobState

from ..model import chain
from ..model.batch_entries import Entry
from ..model.batch_queue import BatchQueue
from .banner import Banner
from .batch_table import FOLDER, LENGTH, NAME, ROW_HEIGHT, STATE, QueueTable, StateDelegate, Table
from .dialogs import DEPTH_WORDS, FORMATS
from .restore_panel import QUALITY_WORDS
from .widgets import Combo, Whole, button, label, local_paths, named, row, take_drag, take_drop, tool

KINDS = ("Recordings and lists (*.wav *.flac *.aiff *.aif *.ogg *.opus *.mp3 *.m4a *.aac *.wma *.caf *.w64 *.rf64 *.au "
         "*.csv *.toml);;All files (*)")


class BatchWindow(QDialog):
    """Beside the main window, not before it: it can be closed while the batch runs. Signal: open_asked, with the path
    of a result."""

    open_asked = Signal(str)

    def __init__(self, queue: BatchQueue, session, parent: QWidget | None = None):
        super().__init__(parent)
        self.queue, self.session = queue, session
        self.setWindowTitle("Batch – BABE-2")
        self.setWindowFlags(self.windowFlags() | Qt.WindowType.WindowMinMaxButtonsHint)
        self.setModal(False)
        self.setAcceptDrops(True)
        self._shown_how = self._shown_target = None
        self._followed, self._was_running = -1, False
        self.banner = Banner()
        self._make_table()
        self._make_form()
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
        session.changed.connect(self._show_target)
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

    def _make_form(self) -> None:
        change = self.queue.set_options
        self.folder = named(QLineEdit(), "Results in", "The folder for the results. Folders that were added keep their "
                            "structure in it; a record of everything is in its manifest.json")
        self.folder.editingFinished.connect(self._folder_typed)
        browse = tool("open", "Choose the folder for the results", "Choose the folder for the results")
        browse.clicked.connect(self._choose_folder)
        self.how = named(Combo(), "Preset or board", "What renders the files: a preset, or a board, which is a chain "
                         "of effects with its own settings. A list can name others for its files")
        self.how.activated.connect(self._how_chosen)
        self.state = label("", "dim")
        self.state.setWordWrap(True)
        self.quality = named(Combo(), "Quality", "How much work to take")
        self.quality.activated.connect(lambda *_: change(quality=self.quality.currentData()))
        self.seed = named(Whole(-1, 2 ** 31 - 1), "Seed", "Seed of all random numbers. The same seed repeats a render "
                          "on the same machine")
        self.seed.valueChanged.connect(lambda value: change(seed=None if value < 0 else value))
        self.target = named(Combo(), "Target", "The spectrum that the restorations come to")
        self.target.activated.connect(self._target_chosen)
        self.format = named(Combo(), "Format", "Of the results")
        self.format.addItem("As each recording", None)
        for ending, words in FORMATS.items():
            if ending in WRITABLE:
                self.format.addItem(words, ending)
        self.format.activated.connect(lambda *_: change(ending=self.format.currentData()))
        self.depth = named(Combo(), "Bit depth", "Bits of each sample; what is rounded is dithered")
        for depth, words in DEPTH_WORDS.items():
            self.depth.addItem("As each recording" if depth is None else words, depth)
        self.depth.activated.connect(lambda *_: change(depth=self.depth.currentData()))
        self.replace = named(QCheckBox("Replace other files"), "Replace other files", "Also replace files in the "
                             "results' folder that no batch has made, or that were changed since")
        self.replace.toggled.connect(lambda on: change(replace=on))
        self.form = QWidget()
        self.form.setFixedWidth(320)
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setHorizontalSpacing(10)
        form.setVerticalSpacing(9)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for words, part in (("Results in", row(self.folder, browse)), ("Preset", self.how), ("", self.state),
                            ("Quality", self.quality), ("Seed", self.seed), ("Target", self.target),
                            ("Format", self.format), ("Bit depth", self.depth), ("", self.replace)):
            form.addRow(words, part)
        self.editors = (self.folder, browse, self.how, self.quality, self.seed, self.target, self.format, self.depth,
                        self.replace)

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
        for part in (self.add_files, self.add_folder, *self.editors):
            part.setEnabled(not running)
        if self._was_running and not running and not self.selected():  # why something failed is to be read
            failed = (at for at, entry in enumerate(self.queue.entries) if entry.state == JobState.FAILED)
            self._select(list(failed)[:1])
        self._was_running = running
        self.cancel.setVisible(running)
        self.start.setEnabled(some and not running and not self.queue.looking)
        self._show_options()
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

    def _show_options(self) -> None:
        options = self.queue.options
        for part in self.editors:
            part.blockSignals(True)
        self.folder.setText(options.folder)
        self.folder.setCursorPosition(0)
        self._show_how()
        own = "As the board says" if options.board else None
        self.quality.clear()
        if own:
            self.quality.addItem(own, None)
        for name in QUALITIES:
            self.quality.addItem(QUALITY_WORDS[name], name)
        self.quality.setCurrentIndex(self.quality.findData(options.quality))
        self.seed.setMinimum(-1 if own else 0)
        self.seed.setSpecialValueText(own or "")  # stands for the lowest value
        self.seed.setValue(-1 if options.seed is None else options.seed)
        self.format.setCurrentIndex(self.format.findData(options.ending))
        self.depth.setCurrentIndex(self.depth.findData(options.depth))
        self.replace.setChecked(options.replace)
        for part in self.editors:
            part.blockSignals(False)
        self._show_target()

    def _show_how(self) -> None:
        options, presets, boards = self.queue.options, list_presets(), list_boards()
        if options.board and options.board not in boards:
            boards = [*boards, options.board]
        if self._shown_how != (presets, boards):
            self._shown_how = presets, boards
            self.how.clear()
            for name in presets:
                self.how.addItem(_title(name), ("preset", name))
            self.how.insertSeparator(self.how.count())
            for name in boards:
                self.how.addItem(f"Board {Path(name).name}", ("board", name))
            self.how.addItem("Board from a file…", ("file", ""))
        chosen = ("preset", options.preset) if options.preset else ("board", options.board)
        places = [self.how.itemData(at) for at in range(self.how.count())]
        self.how.setCurrentIndex(places.index(chosen) if chosen in places else -1)
        self.state.setText(_about(options.preset))

    def _show_target(self) -> None:
        """The targets to choose from; one drawn in the main window comes and goes."""
        options, box = self.queue.options, self.target
        there = self.session.document.target is not None
        shown = there, options.target, options.drawn, options.board
        if shown == self._shown_target:
            return
        self._shown_target = shown
        box.blockSignals(True)
        box.clear()
        box.addItem("The board's own" if options.board else "The preset's own", "own")
        box.addItem("Drawn in the main window", "drawn")
        box.model().item(1).setEnabled(there)
        box.setItemData(1, "The yellow curve, as it is when the batch is started" if there else
                        "There is no target of your own in the main window", Qt.ItemDataRole.ToolTipRole)
        if options.target:
            box.addItem(Path(options.target).name, "this")
            box.setItemData(2, options.target, Qt.ItemDataRole.ToolTipRole)
        box.addItem("From a file…", "file")
        box.addItem("From a folder of recordings…", "folder")
        box.setCurrentIndex(box.findData("drawn" if options.drawn else "this" if options.target else "own"))
        box.blockSignals(False)

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

    # ------------------------------------------------------------------------------------------------ choosing

    def _folder_typed(self) -> None:
        text = self.folder.text().strip()
        if text != self.queue.options.folder:
            self.queue.set_options(folder=str(Path(text).expanduser().absolute()) if text else "")

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Where the results go", self.queue.options.folder)
        if path:
            self.queue.set_options(folder=path)

    def _how_chosen(self, *_) -> None:
        kind, name = self.how.currentData()
        if kind == "file":
            name, _ = QFileDialog.getOpenFileName(self, "A board", "", "Boards (*.toml)")
        if not name:
            self._show_options()
        elif kind == "preset":
            self._use(preset=name, board=None)
        else:
            self._use_board(name)

    def _use_board(self, name: str) -> None:
        try:
            if chain.names_programs(str(find_board(name))):
                raise BoardError(f"{name} names VST3 plugins or Audio Units, which want the main thread, and that "
                                 "is the window's. Use the command: babe2 batch, with --board and --allow-external.")
        except BoardError as error:
            self.queue.report(error)
            self._show_options()
        else:
            self._use(preset=None, board=name)

    def _use(self, preset: str | None, board: str | None) -> None:
        """What a board says by itself is not asked of a preset, nor the other way round."""
        quality, seed = self.queue.options.quality, self.queue.options.seed
        if board and self.queue.options.preset:
            quality = seed = None
        elif preset:
            quality, seed = quality or "standard", seed or 0
        self.queue.set_options(preset=preset, board=board, quality=quality, seed=seed)

    def _target_chosen(self, *_) -> None:
        kind, path = self.target.currentData(), ""
        if kind == "own":
            self.queue.set_options(target=None, drawn=False)
        elif kind == "this":
            self.queue.set_options(drawn=False)
        elif kind == "drawn":
            self.queue.set_options(drawn=True)
        elif kind == "file":
            path, _ = QFileDialog.getOpenFileName(self, "A curve or a recording", "",
                                                  "Curves and recordings (*.csv *.tsv *.txt *.json *.wav *.flac *.aiff "
                                                  "*.aif *.ogg *.mp3);;All files (*)")
        else:
            path = QFileDialog.getExistingDirectory(self, "A folder of recordings")
        if path:
            self.queue.set_options(target=path, drawn=False)
        self._shown_target = None  # nothing may have been chosen after all
        self._show_target()

    # ---------------------------------------------------------------------------------------------------- doing

    def start_batch(self) -> None:
        self._folder_typed()
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
            self.queue.report(f"{entry.result} is not there any more. Start makes it again.", True)
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


def _title(preset: str) -> str:
    try:
        return load_preset(preset).title
    except PresetError:
        return preset


def _about(preset: str | None) -> str:
    """A few words on what is chosen."""
    if preset is None:
        return "A chain of effects, with its own settings."
    try:
        found = load_preset(preset)
    except PresetError as error:
        return str(error)
    if found.state == MISSING:
        return "Its model is not installed yet: install it in the main window, or choose another."
    return f"{found.description.split('. ')[0].rstrip('.')}."
