"""The window: its parts side by side, what they tell each other, and what it remembers."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from PySide6.QtCore import QEvent, QSettings, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QMainWindow,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

import babe2_fx.effect  # noqa: F401 - here, since two threads that import PyTorch at once wait for each other

from .model.batch_queue import BatchQueue
from .model.session import Session
from .model.session_file import SessionWriter
from .views.autosave import Autosave
from .views.axes import time_text
from .views.banner import Banner
from .views.batch_window import BatchWindow
from .views.chain_panel import ChainPanel
from .views.dialogs import ask
from .views.eq_panel import EqPanel
from .views.files import Files
from .views.handing_over import HandOver
from .views.help import start_tour
from .views.menus import Menus
from .views.output import Player
from .views.restore_panel import RestorePanel
from .views.takes_panel import TakesPanel
from .views.tasks import QtTasks
from .views.timeline import Timeline
from .views.transport import Transport
from .views.widgets import dropped_urls, label, take_drag, take_drop, tool

NOTE_MS = 15000

class MainWindow(QMainWindow):
    """The app's window.

    Args:
        prior: stands in for the presets' priors.
        settings: where layout and recent files are remembered; the user's by default.
        state_folder: where unsaved work and unfinished renders are kept; the user's by default.
    """

    def __init__(self, prior=None, settings: QSettings | None = None, state_folder: Path | None = None):
        super().__init__()
        self.settings = settings or QSettings("babe2-fx", "babe2-gui")
        self.tasks = QtTasks(self)
        folder = state_folder or Path(platformdirs.user_state_path("babe2-fx"))
        self.session = Session(self.tasks, prior, folder)
        self.queue = BatchQueue(self.tasks)
        self.player = Player(self)
        self.banner = Banner()
        self.eq, self.timeline = EqPanel(self.session), Timeline(self.session)
        self.hand_over = HandOver(self.session, self.settings, self)
        self.restore_panel, self.takes = RestorePanel(self.session), TakesPanel(self.session, self.hand_over)
        self.chain = ChainPanel(self.session)
        self.transport = Transport(self.session, self.player)
        self.writer = SessionWriter()
        self.files = Files(self.session, self.writer, self.settings, self, self.banner, self.chain.load_board)
        self.autosave = Autosave(self.session, folder, SessionWriter(), self)
        self._build()
        self.batch = BatchWindow(self.queue, self.session, self)
        self.menus = Menus(self)
        self._connect()
        self._restore_layout()
        self.setAcceptDrops(True)
        QApplication.instance().installEventFilter(self)
        self.session.start()
        self._refresh()
        self.eq.plot.setFocus()

    def _build(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for panel, title in ((self.restore_panel, "Restore"), (self.takes, "Takes"), (self.chain, "Chain")):
            self.tabs.addTab(panel, title)
        self.tabs.setMinimumWidth(300)
        self.views = QSplitter(Qt.Orientation.Vertical)
        self.views.addWidget(self.eq)
        self.views.addWidget(self.timeline)
        self.views.setSizes([540, 460])
        self.views.setHandleWidth(5)
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.views)
        self.columns.addWidget(self.tabs)
        self.columns.setStretchFactor(0, 1)
        self.columns.setSizes([10000, 330])
        self.columns.setHandleWidth(5)
        for splitter in (self.views, self.columns):
            splitter.setChildrenCollapsible(False)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.banner)
        layout.addWidget(self.columns, 1)
        layout.addWidget(self.transport)
        self.setCentralWidget(centre)
        self.info = label("", "dim")
        self.info.setContentsMargins(12, 0, 12, 2)
        self.statusBar().addWidget(self.info, 1)
        self.batch_entry = tool(None, "Batch", "Show the running batch", "Batch", style="flat")
        self.batch_entry.clicked.connect(self.show_batch)
        self.batch_entry.hide()
        self.statusBar().addPermanentWidget(self.batch_entry)
        self.statusBar().setSizeGripEnabled(False)
        self.resize(1280, 800)
        self.setMinimumHeight(640)

    def _connect(self) -> None:
        session, timeline = self.session, self.timeline
        session.changed.connect(self._refresh)
        session.progressed.connect(self._progressed)
        session.reported.connect(self._say)
        self.queue.changed.connect(self._show_batch_entry)
        self.queue.entry_changed.connect(lambda _: self._show_batch_entry())
        self.queue.reported.connect(self._say_of_batch)
        self.batch.open_asked.connect(self._open_result)
        self.files.recent_changed.connect(self.menus.fill_recent)
        self.files.reopened.connect(self._show_view)
        timeline.sought.connect(self.player.seek)
        timeline.selection_changed.connect(self.transport.selection_changed)
        timeline.selection_changed.connect(self.restore_panel.refresh)
        self.player.ticked.connect(lambda: timeline.set_cursor(self.player.position_s))
        self.player.failed.connect(self.banner.say)
        self.takes.export_asked.connect(self.files.export_dialog)

    # ------------------------------------------------------------------------------------------------ showing

    def _refresh(self) -> None:
        session, recording = self.session, self.session.recording
        self.menus.refresh()
        self.setWindowTitle(f"{session.title}[*] – BABE-2" if recording else "BABE-2")
        self.setWindowModified(session.modified and recording is not None)
        self.tabs.setTabText(1, f"Takes ({len(session.document.takes)})" if session.document.takes else "Takes")
        if session.loading:
            self.info.setText("Reading…")
        elif recording:
            channels = {1: "mono", 2: "stereo"}.get(recording.channels, f"{recording.channels} channels")
            self.info.setText("   ·   ".join((recording.path.name, f"{recording.sample_rate / 1000:g} kHz", channels,
                                              time_text(recording.duration_s, 0.1))))
        else:
            self.info.setText("No recording")

    def _progressed(self, state) -> None:
        job = self.session.job
        self.queue.rest(job is not None and not job.paused)  # what the user waits for comes first
        self.menus.pause.setEnabled(state is not None)
        if state is None and self.session.document.takes and self.session.job is None:
            self._refresh()

    def _show_view(self) -> None:
        """After a session was reopened: everything as it was."""
        view = self.session.view
        if view.frequency_hz and view.level_db:
            self.eq.plot.set_view(view.frequency_hz, view.level_db)
        self.timeline.show_view()
        self.player.seek(view.position_s)
        self.transport.loop.setChecked(view.loop)
        self.session.changed()

    def _say(self, sentence: str, error: bool = False) -> None:
        """Errors across the window, notes at its foot."""
        if error:
            self.banner.say(sentence, True)
        else:
            self.statusBar().showMessage(sentence, NOTE_MS)

    # -------------------------------------------------------------------------------------------------- batch

    def show_batch(self, paths: tuple[str, ...] = ()) -> None:
        """The batch's window, with more files in its queue."""
        self.batch.show()
        self.batch.raise_()
        self.batch.activateWindow()
        if paths:
            self.queue.add(paths)

    def _open_result(self, path: str) -> None:
        self.raise_()
        self.activateWindow()
        self.files.open(path)

    def _show_batch_entry(self) -> None:
        self.batch_entry.setVisible(self.queue.running)
        self.batch_entry.setText(f"Batch: {self.queue.words()}" if self.queue.running else "Batch")

    def _say_of_batch(self, sentence: str, error: bool) -> None:
        """In the batch's window, or here if that is closed."""
        if self.batch.isVisible():
            self.batch.banner.say(sentence, error)
        elif error:
            self.banner.say(sentence, True, "Show the batch", self.show_batch)
        else:
            self._say(sentence)

    def _may_end_batch(self) -> bool:
        """Asks if a batch is running; whether to go on."""
        more = "If you quit, it is cancelled. What is done is kept, and the same batch goes on from there."
        answers = {"stay": "Let it run", "cancel": "Cancel it and quit"}
        if self.queue.running and ask(self, "A batch is running.", more, answers) != "cancel":
            return False
        return True

    def escape(self) -> None:
        """Clears what is in the way: first a message, then drawing, then a render."""
        if self.banner.isVisible():
            self.banner.hide()
        elif self.eq.draw.isChecked():
            self.eq.draw.setChecked(False)
        elif self.session.job:
            self.session.cancel()

    # --------------------------------------------------------------------------------------- start and finish

    def greet(self, path: str | None = None) -> None:
        """What happens once the window is there: work that was lost is offered, a file opened, the tour begun."""
        orphans = self.autosave.orphans()
        if orphans:
            self.banner.say("The program ended last time before the work was saved.", False, "Open that work",
                            lambda: self.files.open_session(str(orphans[0]), saved=False))
        if path:
            self.files.open(path)
        elif not orphans and not self.settings.value("tour_done", False, bool):
            QTimer.singleShot(0, lambda: start_tour(self))

    def _restore_layout(self) -> None:
        for name, part in (("geometry", self), ("views", self.views), ("columns", self.columns)):
            held = self.settings.value(f"layout/{name}")
            if held is not None:
                part.restoreGeometry(held) if part is self else part.restoreState(held)
        self.views.splitterMoved.connect(self._remember_layout)
        self.columns.splitterMoved.connect(self._remember_layout)

    def _remember_layout(self, *_) -> None:
        self.settings.setValue("layout/geometry", self.saveGeometry())
        self.settings.setValue("layout/views", self.views.saveState())
        self.settings.setValue("layout/columns", self.columns.saveState())

    def closeEvent(self, event) -> None:
        if not self._may_end_batch() or not self.files.may_lose_work():
            event.ignore()
            return
        self.queue.cancel()
        self.batch.close()
        self.chain.close_editor()
        self._remember_layout()
        self.player.stop()
        self.session.cancel()
        QApplication.instance().removeEventFilter(self)
        self.autosave.close()
        self.tasks.close()
        event.accept()

    def eventFilter(self, watched, event) -> bool:
        """Space belongs to the transport, but for a button that was reached by Tab; and files that are dropped
        belong to the window, whatever lies under the mouse."""
        if event.type() == QEvent.Type.ShortcutOverride and event.key() == Qt.Key.Key_Space and isinstance(
                QApplication.focusWidget(), (QAbstractButton, QComboBox)):
            event.accept()
        if event.type() == QEvent.Type.DragEnter and isinstance(watched, QWidget) and watched is not self and \
                watched.window() is self and dropped_urls(event):
            event.ignore()
            return True
        return False

    # ------------------------------------------------------------------------------------------ drag and drop

    def dragEnterEvent(self, event) -> None:
        if dropped_urls(event) and event.source() is None:  # not what the app itself hands out
            take_drag(event)

    def dragMoveEvent(self, event) -> None:
        take_drag(event)

    def dropEvent(self, event) -> None:
        paths, urls = take_drop(event), dropped_urls(event)
        if not paths:
            what = urls[0].toDisplayString() if urls else "What was dropped"
            self.banner.say(f"{what} is not a file on this computer. Save it to a folder first, then drop the file.",
                            True)
            return
        if any(Path(path).is_dir() for path in paths):
            QTimer.singleShot(0, lambda: self.show_batch(tuple(paths)))
            return
        if len(paths) > 1:
            self.banner.say(f"One file at a time: {Path(paths[0]).name} is opened.", False, "Batch of all…",
                            lambda: self.show_batch(tuple(paths)))
        QTimer.singleShot(0, lambda: self.files.open(paths[0]))  # the other program waits for the drop to end
