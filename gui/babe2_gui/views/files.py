"""What the window does with files: open, save, recent ones, what is dropped on it, and export."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import QObject, QSettings, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from babe2_fx.audio.kinds import dialog_patterns
from babe2_fx.errors import UserError
from babe2_fx.spectra.curve_files import CURVE_ENDINGS

from ..model.session_file import ENDING, RecordingMissing, SessionWriter, Snapshot, read_session
from .dialogs import ExportDialog, ask

AUDIO_FILES = f"Recordings ({dialog_patterns()});;All files (*)"
SESSIONS = f"Sessions (*{ENDING})"
MOST_RECENT = 10


class Files(QObject):
    """Signals: recent_changed · reopened, when a session's view is to be shown."""

    recent_changed = Signal()
    reopened = Signal()

    def __init__(self, session, writer: SessionWriter, settings: QSettings, window: QWidget, banner, board):
        super().__init__(window)
        self.session, self.writer, self.settings, self.window = session, writer, settings, window
        self.banner, self.load_board = banner, board
        self.saving = False

    # ------------------------------------------------------------------------------------------------ opening

    def open_dialog(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self.window, "Open a recording or a session", self._folder(),
                                              f"Recordings and sessions ({dialog_patterns(ENDING)});;{AUDIO_FILES}")
        if path:
            self.open(path)

    def open(self, path: str) -> None:
        """A recording, a session, a board or a target's curve, by its ending. Asks about unsaved work if that
        would be lost."""
        ending = Path(path).suffix.lower()
        if ending == ".toml":
            self.load_board(path)
        elif ending in CURVE_ENDINGS:
            self.session.load_target(path)
        elif self.may_lose_work():
            if ending == ENDING:
                self.open_session(path)
            else:
                self.session.open_recording(path)
                self.remember(path)

    def open_session(self, path: str, recording: str | None = None, saved: bool = True) -> None:
        """A session's file; one that was autosaved (`saved` false) still has no file of the user's. Plugins in any
        other run only if the user trusts it."""
        def done(snapshot: Snapshot) -> None:
            document = snapshot.document
            if saved and document.runs_programs and ask(
                    self.window, "This session has plugins, which are programs that would run on this computer.",
                    "Let them run only if you trust where it comes from. Switched off, they stay in the chain.",
                    {"run": "Let them run", "off": "Switch them off"}) == "off":
                document = document.with_programs_off()
            self.session.begin(snapshot.recording, document, snapshot.view, path if saved else None,
                               modified=not saved)
            self.reopened.emit()
            if snapshot.notes:
                self.session.report(" ".join(snapshot.notes))
            if saved:
                self.remember(path)
            else:
                Path(path).unlink(missing_ok=True)

        def failed(error) -> None:
            if isinstance(error, RecordingMissing):
                self.banner.say(str(error), True, "Find the recording…", lambda: self._locate(path, saved))
            else:
                self.session.report(error)
        self.session.load(lambda: read_session(path, recording), done, failed)

    def _locate(self, path: str, saved: bool) -> None:
        recording, _ = QFileDialog.getOpenFileName(self.window, "Where the recording is now", self._folder(),
                                                   AUDIO_FILES)
        if recording:
            self.open_session(path, recording, saved)

    # ------------------------------------------------------------------------------------------------- saving

    def save(self) -> None:
        if self.session.path:
            self._write(self.session.path)
        else:
            self.save_as()

    def save_as(self) -> bool:
        """Whether a file was chosen."""
        if self.session.recording is None:
            self.session.report("There is nothing to save yet: open a recording first.")
            return False
        path = self._ask_path()
        if path:
            self._write(path)
        return bool(path)

    def _ask_path(self) -> str:
        """Where to save the session; "" if the user does not say."""
        suggested = str(Path(self.session.recording.path).with_suffix(ENDING))
        path, _ = QFileDialog.getSaveFileName(self.window, "Save the session", suggested, SESSIONS)
        return path + ENDING if path and not path.endswith(ENDING) else path

    def _write(self, path: str, at_once: bool = False) -> bool:
        """Writes in the background, or at once if the window is about to close; returns whether it could."""
        snapshot = Snapshot.of(self.session)

        def done(_) -> None:
            self.saving = False
            if self.session.document is snapshot.document:
                self.session.mark_saved(path)
            self.remember(path)
            self.session.report(f"Saved {path}.")

        def failed(error) -> None:
            self.saving = False
            self.session.report(error)
        if at_once:
            try:
                self.writer.write(path, snapshot)
            except (UserError, OSError) as error:
                failed(error)
                return False
            self.session.mark_saved(path)
            return True
        self.saving = True
        self.session.tasks.run(lambda: self.writer.write(path, snapshot), done, failed)
        return True

    def may_lose_work(self) -> bool:
        """Asks about unsaved work; whether to go on."""
        more = "If you go on, it is cancelled. The same render can go on later from the blocks that are done."
        answers = {"stay": "Let it run", "cancel": "Cancel it"}
        if self.session.job is not None and ask(self.window, "A restoration is running.", more, answers) == "stay":
            return False
        if not self.session.modified or self.session.recording is None:
            return True
        answer = ask(self.window, f"“{self.session.title}” has changes that are not saved.",
                     "Takes, target and chain are lost if you do not save them.",
                     {"save": "Save", "discard": "Do not save", "cancel": "Cancel"})
        if answer == "save":
            path = self.session.path or self._ask_path()
            return bool(path) and self._write(path, at_once=True)
        return answer == "discard"

    def export_dialog(self) -> None:
        take = self.session.document.take
        if take is None:
            self.session.report("There is nothing to export yet: restore the recording first.")
            return
        dialog = ExportDialog(self.window, self.session.recording, take)
        dialog.chosen.connect(self.session.export)
        dialog.open()

    def export_eq_dialog(self) -> None:
        """The learned response as JSON, as `babe2 restore --eq-out` writes it."""
        take = self.session.document.take
        if take is None or take.learned is None:
            self.session.report("There is no learned response yet: restore the recording first.")
            return
        source = Path(self.session.recording.path)
        path, _ = QFileDialog.getSaveFileName(self.window, "Export the learned response",
                                              str(source.with_name(f"{source.stem}_eq.json")), "JSON (*.json)")
        if path:
            self.session.export_eq(path)

    # ------------------------------------------------------------------------------------------------- recent

    def recent(self) -> list[str]:
        held = self.settings.value("recent", []) or []
        return [held] if isinstance(held, str) else list(held)

    def remember(self, path: str) -> None:
        path = os.path.abspath(path)
        self.settings.setValue("recent", [path, *(old for old in self.recent() if old != path)][:MOST_RECENT])
        self.recent_changed.emit()

    def _folder(self) -> str:
        recent = self.recent()
        return os.path.dirname(recent[0]) if recent else ""
