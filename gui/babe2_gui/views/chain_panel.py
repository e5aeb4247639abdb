"""The chain: effects before and after the restoration, by drag and drop, and the controls of the selected one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QProcess, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFileDialog,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from babe2_fx.audio.kinds import dialog_patterns
from babe2_fx.errors import UserError
from babe2_host.boards.plugins import BoardError

from ..model import chain, plugins_apart
from ..model.chain import Effect
from .dialogs import ask
from .parameter_form import ParameterForm
from .widgets import button, label, named, quiet, row, rule, tool

EMPTY = "Add effects with + and select one to see its controls."
SELECT = "Select an effect to see its controls."
SECTIONS = {"before": "Before the restoration", "after": "After the restoration"}


class EffectList(QListWidget):
    """One section of the chain. Its items are dragged within it and to the other one."""

    arranged = Signal()
    dragging = False  # of all lists: there is one mouse

    def __init__(self, title: str):
        super().__init__()
        named(self, f"Effects {title.lower()}", "Drag to move, also to the other list; the box switches an effect off; "
              "Delete removes it; Alt with the arrow keys moves it")
        self.setDragDropMode(QListWidget.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setMinimumHeight(56)

    def show_effects(self, effects: tuple[Effect, ...]) -> None:
        self.clear()
        for effect in effects:
            item = QListWidgetItem(effect.title)
            item.setFlags((item.flags() | Qt.ItemFlag.ItemIsUserCheckable) & ~Qt.ItemFlag.ItemIsDropEnabled)
            item.setCheckState(Qt.CheckState.Checked if effect.enabled else Qt.CheckState.Unchecked)
            item.setData(Qt.ItemDataRole.UserRole, {"plugin": effect.plugin, "values": effect.values})
            self.addItem(item)

    def effects(self) -> tuple[Effect, ...]:
        items = [self.item(index) for index in range(self.count())]
        return tuple(Effect(**item.data(Qt.ItemDataRole.UserRole),
                            enabled=item.checkState() == Qt.CheckState.Checked) for item in items)

    def startDrag(self, actions) -> None:
        """During a drag the item is in both lists; only when it is over do they show what the user wants."""
        EffectList.dragging = True
        try:
            super().startDrag(actions)
        finally:
            EffectList.dragging = False
        self.arranged.emit()


class ChainPanel(QWidget):
    def __init__(self, session):
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        self.lists, self.add = {}, {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(7)
        for name, title in SECTIONS.items():
            plus = tool("add", f"Add an effect {title.lower()}", f"Add an effect {title.lower()}", style="flat")
            plus.setPopupMode(plus.ToolButtonPopupMode.InstantPopup)
            plus.setMenu(self._menu(name))
            section = EffectList(title)
            layout.addLayout(row(label(title, "heading"), 1, plus))
            layout.addWidget(section, 1)
            section.arranged.connect(self._arranged)
            section.itemChanged.connect(self._arranged)
            section.currentRowChanged.connect(lambda index, name=name: self._select(name, index))
            section.itemClicked.connect(lambda _, name=name: self._select(name, self.lists[name].currentRow()))
            for key, do in ((Qt.Key.Key_Delete, self.remove), (Qt.Modifier.ALT | Qt.Key.Key_Up, lambda: self.move(-1)),
                            (Qt.Modifier.ALT | Qt.Key.Key_Down, lambda: self.move(1))):
                QShortcut(QKeySequence(key), section, do, context=Qt.ShortcutContext.WidgetShortcut)
            self.lists[name], self.add[name] = section, plus
        layout.addWidget(rule())
        self.title = label("", "heading")
        self.editor = button("Open editor…", "Open the plugin's own window")
        self.editor.clicked.connect(self.open_editor)
        self._editing_process: QProcess | None = None
        delete = tool("remove", "Remove the effect", "Remove the effect (Delete)", style="flat")
        delete.clicked.connect(self.remove)
        self.delete = delete
        layout.addLayout(row(self.title, 1, self.editor, delete))
        self.scroll = QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout.addWidget(self.scroll, 2)
        load = button("Load board…", "Load a chain from a board file; `babe2` uses the same files")
        save = button("Save board…", "Save the chain, with the restoration's settings, to a board file")
        load.clicked.connect(self.load)
        save.clicked.connect(self.save)
        layout.addLayout(row(load, save))
        self._selected: tuple[str, int] | None = None
        self._shown, self._editing = None, False
        session.changed.connect(self.refresh)
        self.refresh()

    def _menu(self, section: str) -> QMenu:
        menu = QMenu(self)
        for plugin in chain.known_effects():
            menu.addAction(chain.spaced(plugin), lambda plugin=plugin: self.add_effect(section, plugin))
        menu.addSeparator()
        menu.addAction("Convolution with a file…", lambda: self._add_file(
            section, "Impulse response", f"Audio files ({dialog_patterns()});;All files (*)", chain.convolution))
        menu.addAction("VST3 plugin…", lambda: self._add_external(section))
        return menu

    # ------------------------------------------------------------------------------------------------ showing

    def _effects(self, section: str) -> tuple[Effect, ...]:
        return getattr(self.session.document, section)

    def refresh(self) -> None:
        document = self.session.document
        if self._shown is not None and self._shown[0] is document.before and self._shown[1] is document.after:
            return
        self._shown = (document.before, document.after)
        for name, section in self.lists.items():
            with quiet(section):
                if section.effects() != self._effects(name):
                    section.show_effects(self._effects(name))
        if self._selected and self._selected[1] >= len(self._effects(self._selected[0])):
            self._selected = None
        if not self._editing:  # otherwise the edit came from the form
            self._show_form()

    def _select(self, section: str, index: int) -> None:
        if 0 <= index < len(self._effects(section)):
            self._selected = (section, index)
            other = self.lists["after" if section == "before" else "before"]
            with quiet(other):
                other.setCurrentRow(-1)
            self._show_form()

    @property
    def effect(self) -> Effect | None:
        """The selected one."""
        return self._effects(self._selected[0])[self._selected[1]] if self._selected else None

    def _show_form(self) -> None:
        effect = self.effect
        if effect is None:
            some = self.session.document.before or self.session.document.after
            form = label(SELECT if some else EMPTY, "dim")
            form.setWordWrap(True)
            form.setAlignment(Qt.AlignmentFlag.AlignTop)
        else:
            form = ParameterForm(effect)
            form.edited.connect(self._edited)
        self.scroll.setWidget(form)
        form.setAutoFillBackground(False)
        self.scroll.viewport().setAutoFillBackground(False)
        self.title.setText(effect.title if effect else "")
        self._show_editor_button()
        self.delete.setVisible(effect is not None)

    # ------------------------------------------------------------------------------------------------ editing

    def add_effect(self, section: str, plugin: str) -> None:
        self._try(lambda: self._append(section, chain.new_effect(plugin)))

    def _append(self, section: str, effect: Effect) -> None:
        self._selected = (section, len(self._effects(section)))
        self.session.edit(f"Add {effect.title}", **{section: (*self._effects(section), effect)})
        self.lists[section].setCurrentRow(self._selected[1])

    def _add_file(self, section: str, title: str, kinds: str, make) -> None:
        path, _ = QFileDialog.getOpenFileName(self, title, "", kinds)
        if path:
            self._try(lambda: self._append(section, make(path)))

    def _add_external(self, section: str) -> None:
        """On some systems a plugin is a file, on others a folder."""
        path, _ = QFileDialog.getOpenFileName(self, "VST3 plugin", "", "VST3 plugins (*.vst3 *.so);;All files (*)")
        if path:
            self.add_external(section, path)

    def add_external(self, section: str, path: str) -> None:
        """A plugin that is a program, once it is loaded."""
        bundle = next((str(parent) for parent in Path(path).parents if parent.suffix == ".vst3"), path)
        self.session.tasks.run(lambda: chain.external(bundle),
                               lambda effect: self._append(section, effect), self.session.report)

    def _try(self, do) -> None:
        try:
            do()
        except (UserError, ValueError, OSError, RuntimeError, ImportError) as error:
            self.session.report(error)

    def _edited(self, name: str, value) -> None:
        section, index = self._selected
        effects = self._effects(section)
        effect = replace(effects[index], values=effects[index].values | {name: value})
        self._editing = True
        try:
            self.session.edit(f"Change {effect.title}", ("parameter", section, index, name),
                              **{section: (*effects[:index], effect, *effects[index + 1:])})
        finally:
            self._editing = False

    def _arranged(self, *_) -> None:
        """After a drop or a click on a box: the lists show what the user wants now."""
        if EffectList.dragging:
            return
        now = {name: section.effects() for name, section in self.lists.items()}
        if any(now[name] != self._effects(name) for name in now):
            self._selected = None
            self.session.edit("Arrange effects", **now)

    def remove(self) -> None:
        if self._selected:
            section, index = self._selected
            effects = self._effects(section)
            self._selected = None
            self.session.edit(f"Remove {effects[index].title}", **{section: effects[:index] + effects[index + 1:]})

    def move(self, step: int) -> None:
        """The selected effect up or down; at the end of its list, into the other one."""
        if not self._selected:
            return
        section, index = self._selected
        lists = {name: list(self._effects(name)) for name in SECTIONS}
        effect, to = lists[section].pop(index), index + step
        if section == "before" and to > len(lists[section]):
            section, to = "after", 0
        elif section == "after" and to < 0:
            section, to = "before", len(lists["before"])
        to = min(max(to, 0), len(lists[section]))
        lists[section].insert(to, effect)
        self._selected = (section, to)
        self.session.edit("Move effect", **{name: tuple(effects) for name, effects in lists.items()})
        self.lists[section].setFocus()
        self.lists[section].setCurrentRow(to)

    # ------------------------------------------------------------------------------------- a plugin's own editor

    def _show_editor_button(self) -> None:
        effect, free = self.effect, self._editing_process is None
        self.editor.setVisible(effect is not None and effect.is_program)
        self.editor.setEnabled(free)
        self.editor.setText("Open editor…" if free else "Editor is open")

    def open_editor(self) -> None:
        """The selected plugin's own window, in another process; what is set there is taken over when it is closed."""
        if self.effect is not None and self._editing_process is None:
            self._try(lambda: self._edit_apart(self.effect))

    def _edit_apart(self, effect: Effect) -> None:
        process = self._editing_process = QProcess(self)

        def finished(*_) -> None:
            if self._editing_process is None:  # a process that cannot start emits both signals; none counts at the end
                return
            self._editing_process = None
            self._show_editor_button()
            self._try(lambda: self._take_edited(process.readAllStandardOutput().data(), effect))
            process.deleteLater()
        process.finished.connect(finished)
        process.errorOccurred.connect(lambda error: error == QProcess.ProcessError.FailedToStart and finished())
        program, *args = plugins_apart.APART
        process.start(program, args)
        process.write(plugins_apart.request("edit", effect.plain))
        process.closeWriteChannel()
        self._show_editor_button()

    def _take_edited(self, data: bytes, effect: Effect) -> None:
        try:
            edited = replace(Effect.of(plugins_apart.answer(data)), enabled=effect.enabled)
        except BoardError as error:
            raise BoardError(f"The editor of {effect.title}: {error} The plugin's settings are as they "
                             "were.") from error
        place = next(((section, at) for section in SECTIONS for at, other in enumerate(self._effects(section))
                      if other == effect), None)
        if place is None:
            self.session.report(f"{effect.title} was removed or changed while its editor was open; what was set there "
                                "is not used.")
        elif edited != effect:
            section, at = place
            effects = self._effects(section)
            self.session.edit(f"Change {edited.title}", **{section: (*effects[:at], edited, *effects[at + 1:])})

    def close_editor(self) -> None:
        """At the end of the program."""
        process, self._editing_process = self._editing_process, None
        if process:
            process.kill()
            process.waitForFinished(1000)

    # -------------------------------------------------------------------------------------------------- files

    def load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load a board", "", "Boards (*.toml)")
        if path:
            self.load_board(path)

    def load_board(self, path: str) -> None:
        """A board's effects; what it says about the restoration (preset, quality and so on) is taken over too."""
        allow = chain.names_programs(path)
        if allow:
            question = "This board names plugins, which are programs that would run on this computer."
            answers = {"load": "Load", "cancel": "Cancel"}
            if ask(self.window(), question, "Load it only if you trust where it comes from.", answers) != "load":
                return

        def do() -> None:
            before, restoration, after = chain.load_chain(path, allow)
            options, target = self.session.document.options.with_board(restoration)
            changes = {"before": before, "after": after, "options": options}
            self._selected = None
            self.session.edit("Load board", **changes)
            if target:
                self.session.load_target(target)
        self._try(do)

    def save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the board", "chain.toml", "Boards (*.toml)")
        if path:
            self.save_board(path if path.endswith(".toml") else f"{path}.toml")

    def save_board(self, path: str) -> None:
        document = self.session.document

        def do() -> None:
            restoration = document.options.board_values()
            if document.target:
                restoration["target"] = chain.save_curve(path, document.target)
            chain.save_chain(path, document.before, restoration, document.after)
            self.session.report(f"Saved the board {path}. `babe2` can use it too.")
        self._try(do)

