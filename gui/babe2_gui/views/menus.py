"""The menus: all that can be done in the window, with its keys."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QAction, QKeySequence

from . import help
from .widgets import plain_tip


class Menus:
    """The actions of a window. Those with a name here come and go with what there is to act on."""

    def __init__(self, window):
        self.window, self.session, self.files = window, window.session, window.files
        files, session, eq, timeline = window.files, window.session, window.eq, window.timeline
        player, transport, bar = window.player, window.transport, window.menuBar()
        menu = bar.addMenu("&File")
        self._action(menu, "&Open…", files.open_dialog, "Ctrl+O")
        self.recent = menu.addMenu("Open &recent")
        menu.addSeparator()
        self.save = self._action(menu, "&Save session", files.save, "Ctrl+S")
        self.save_as = self._action(menu, "Save session &as…", files.save_as, "Ctrl+Shift+S")
        menu.addSeparator()
        self.export = self._action(menu, "&Export take…", files.export_dialog, "Ctrl+E")
        self.export_eq = self._action(menu, "Export &learned response…", files.export_eq_dialog)
        self.copy = self._action(menu, "&Copy take for the DAW", window.hand_over.copy, "Ctrl+Shift+C")
        menu.addSeparator()
        self._action(menu, "&Batch…", window.show_batch, "Ctrl+B")
        menu.addSeparator()
        self._action(menu, "&Quit", window.close, "Ctrl+Q")
        menu = bar.addMenu("&Edit")
        self.undo = self._action(menu, "&Undo", session.undo, "Ctrl+Z")
        self.redo = self._action(menu, "&Redo", session.redo, "Ctrl+Shift+Z", "Ctrl+Y")
        menu.addSeparator()
        self._action(menu, "Select &all of the recording", timeline.select_all, "Ctrl+Shift+A")
        self._action(menu, "Select &nothing", lambda: timeline.select(None), "Ctrl+D")
        menu = bar.addMenu("&Target")
        self._action(menu, "From a &file…", eq.load, "Ctrl+T")
        self._action(menu, "From the &preset, to edit", eq.from_preset)
        self._action(menu, "From this &recording, to edit", eq.from_input)
        self._action(menu, "&Back to the preset's own", eq.to_preset)
        menu.addSeparator()
        self._action(menu, "&Draw freehand", eq.draw.toggle, "D")
        self._action(menu, "&Smooth", eq.smooth, "Ctrl+Shift+M")
        self._action(menu, "Shift &up", lambda: eq.shift(1.0), "Ctrl+Up")
        self._action(menu, "Shift do&wn", lambda: eq.shift(-1.0), "Ctrl+Down")
        menu = bar.addMenu("&View")
        self._action(menu, "&Waveform", timeline.wave.click, "Shift+W")
        self._action(menu, "&Spectrogram", timeline.spectrogram.click, "Shift+S")
        self._action(menu, "&Difference below", timeline.toggle_difference, "Shift+D")
        menu.addSeparator()
        self._action(menu, "Zoom &in", lambda: timeline.zoom(0.6), "Ctrl+=", "Ctrl++")
        self._action(menu, "Zoom &out", lambda: timeline.zoom(1 / 0.6), "Ctrl+-")
        self._action(menu, "Zoom to s&election", timeline.zoom_to_selection, "Z")
        self._action(menu, "Show &everything", timeline.fit, "F")
        self._action(menu, "Show all &frequencies and levels", eq.plot.reset_view, "Shift+F")
        menu = bar.addMenu("&Play")
        self._action(menu, "&Play or pause", player.toggle, "Space")
        self._action(menu, "&Stop", player.stop, "Shift+Space")
        self._action(menu, "&Loop", transport.loop.click, "L")
        menu.addSeparator()
        for name, text, key in (("original", "Hear the &original", "A"), ("restored", "Hear the &restored", "B"),
                                ("equalized", "Hear the plain &equalizer", "E")):
            self._action(menu, text, lambda name=name: transport.choose(name), key)
        self._action(menu, "&Match loudness", transport.matched.click, "M")
        menu = bar.addMenu("&Restore")
        self._action(menu, "Restore &all", session.render, "Ctrl+R")
        self._action(menu, "Restore &selection", lambda: session.render(True), "Ctrl+Shift+R")
        menu.addSeparator()
        self.pause = self._action(menu, "&Pause or go on", window.restore_panel.pause.toggle, "Ctrl+P")
        self._action(menu, "&Cancel", window.escape, "Esc")
        menu.addSeparator()
        for index, title in enumerate(("&Restore panel", "&Takes panel", "&Chain panel")):
            self._action(menu, title, lambda index=index: window.tabs.setCurrentIndex(index), f"Ctrl+{index + 1}")
        menu = bar.addMenu("&Help")
        self._action(menu, "&Tour", lambda: help.start_tour(window))
        self._action(menu, "&Keys", lambda: help.show_keys(window), "F1")
        self._action(menu, "&About", lambda: help.show_about(window))
        self.fill_recent()

    def _action(self, menu, text: str, do, *keys: str) -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda *_: do())
        action.setShortcuts([QKeySequence(key) for key in keys])
        self.window.addAction(action)
        return action

    def fill_recent(self) -> None:
        """Lists the files that were open lately."""
        self.recent.clear()
        for path in self.files.recent():
            action = self.recent.addAction(Path(path).name, lambda path=path: self.files.open(path))
            action.setToolTip(plain_tip(path))
        self.recent.setToolTipsVisible(True)
        self.recent.setEnabled(bool(self.files.recent()))

    def refresh(self) -> None:
        """Enables what can be done now."""
        history, take = self.session.history, self.session.document.take
        for action, words, what in ((self.undo, "&Undo", history.undo_label), (self.redo, "&Redo", history.redo_label)):
            action.setEnabled(what is not None)
            action.setText(f"{words} {what[:1].lower() + what[1:]}" if what else words)
        for action in (self.save, self.save_as):
            action.setEnabled(self.session.recording is not None)
        for action in (self.export, self.copy):
            action.setEnabled(take is not None)
        self.export_eq.setEnabled(take is not None and take.learned is not None)
