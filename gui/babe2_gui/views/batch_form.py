"""How all of a batch is rendered: the form next to its files."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QFileDialog, QFormLayout, QLineEdit, QWidget

from babe2_fx.catalogue.presets import MISSING, PresetError, list_presets, load_preset
from babe2_host.boards.catalogue import find_board, list_boards
from babe2_host.boards.plugins import BoardError

from ..model import chain
from ..model.batch_queue import BatchQueue
from .dialogs import DEPTHS, DITHER, FORMATS
from .eq_panel import CURVE_FILES
from .restore_panel import QUALITY_WORDS
from .widgets import Combo, Whole, choice, label, named, quiet, row, tool


class BatchForm(QWidget):
    """Shows the queue's options and changes them."""

    def __init__(self, queue: BatchQueue, session):
        super().__init__()
        self.queue, self.session = queue, session
        self._shown_how = self._shown_target = None
        change = self.queue.set_options
        self.folder = named(QLineEdit(), "Results in", "The folder for the results. Folders that were added keep their "
                            "structure in it; a record of everything is in its manifest.json")
        self.folder.editingFinished.connect(self.take_folder)
        browse = tool("open", "Choose the folder for the results", "Choose the folder for the results")
        browse.clicked.connect(self._choose_folder)
        self.how = named(Combo(), "Preset or board", "What renders the files: a preset, or a board, which is a chain "
                         "of effects with its own settings. A list can name others for its files")
        self.how.activated.connect(self._how_chosen)
        self.state = label("", "dim")
        self.state.setWordWrap(True)
        self.quality = named(Combo(), "Quality", "How much work to put in")
        self.quality.activated.connect(lambda *_: change(quality=self.quality.currentData()))
        self.seed = named(Whole(-1, 2 ** 31 - 1), "Seed", "Seed of all random numbers. The same seed repeats a render "
                          "on the same machine")
        self.seed.valueChanged.connect(lambda value: change(seed=None if value < 0 else value))
        self.target = named(Combo(), "Target", "The spectrum that the restorations aim for")
        self.target.activated.connect(self._target_chosen)
        self.format = choice("Format", "Format of the results", {None: "As each recording"} | FORMATS)
        self.depth = choice("Bit depth", DITHER, {None: "As each recording"} | DEPTHS)
        self.format.activated.connect(lambda *_: change(ending=self.format.currentData()))
        self.depth.activated.connect(lambda *_: change(depth=self.depth.currentData()))
        self.replace = named(QCheckBox("Replace other files"), "Replace other files", "Also replace files in the "
                             "results' folder that no batch has made, or that were changed since")
        self.replace.toggled.connect(lambda on: change(replace=on))
        self.setFixedWidth(320)
        form = QFormLayout(self)
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
        session.changed.connect(self._show_target)

    # ------------------------------------------------------------------------------------------------ showing

    def refresh(self) -> None:
        for part in self.editors:
            part.setEnabled(not self.queue.running)
        self._show_options()

    def _show_options(self) -> None:
        options = self.queue.options
        with quiet(*self.editors):
            self.folder.setText(options.folder)
            self.folder.setCursorPosition(0)
            self._show_how()
            own = "As the board says" if options.board else None
            self.quality.clear()
            for name, words in (({None: own} if own else {}) | QUALITY_WORDS).items():
                self.quality.addItem(words, name)
            self.quality.setCurrentIndex(self.quality.findData(options.quality))
            self.seed.setMinimum(-1 if own else 0)
            self.seed.setSpecialValueText(own or "")  # stands for the lowest value
            self.seed.setValue(-1 if options.seed is None else options.seed)
            self.format.setCurrentIndex(self.format.findData(options.ending))
            self.depth.setCurrentIndex(self.depth.findData(options.depth))
            self.replace.setChecked(options.replace)
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
        with quiet(box):
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

    # ------------------------------------------------------------------------------------------------ choosing

    def take_folder(self) -> None:
        """What was typed as the folder for the results counts from now on."""
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
                raise BoardError(f"{name} names VST3 plugins or Audio Units, which need the main thread, and that "
                                 "is the window's. Use the command: babe2 batch, with --board and --allow-external.")
        except BoardError as error:
            self.queue.report(error)
            self._show_options()
        else:
            self._use(preset=None, board=name)

    def _use(self, preset: str | None, board: str | None) -> None:
        """A board has a quality and a seed of its own, which a preset needs to be given."""
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
                                                  CURVE_FILES)
        else:
            path = QFileDialog.getExistingDirectory(self, "A folder of recordings")
        if path:
            self.queue.set_options(target=path, drawn=False)
        self._shown_target = None  # nothing may have been chosen after all
        self._show_target()


def _title(preset: str) -> str:
    try:
        return load_preset(preset).title
    except PresetError:
        return preset


def _about(preset: str | None) -> str:
    """A few words about what is chosen."""
    if preset is None:
        return "A chain of effects, with its own settings."
    try:
        found = load_preset(preset)
    except PresetError as error:
        return str(error)
    if found.state == MISSING:
        return "Its model is not installed yet: install it in the main window, or choose another."
    return f"{found.description.split('. ')[0].rstrip('.')}."
