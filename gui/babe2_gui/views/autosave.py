"""Keeps unsaved work in a file of its own, which is offered again if the program ends without being closed."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, QTimer

from ..model.session_file import ENDING, SessionWriter, Snapshot

EVERY_MS = 20000


class Autosave(QObject):
    """Watches a session. Its file is locked for as long as this process lives, so that others know whose it is."""

    def __init__(self, session, folder: Path, writer: SessionWriter, parent: QObject | None = None):
        super().__init__(parent)
        self.session, self.folder, self.writer = session, folder, writer
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # no home to write to: a crash of the program is survived, if not one of the computer
            self.folder = folder = Path(tempfile.mkdtemp(prefix="babe2-"))
        self.path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{ENDING}"
        self._lock = _lock_of(self.path)
        self._lock.tryLock(0)
        self._written, self._busy = None, False
        self._timer = QTimer(self, interval=EVERY_MS, timeout=self.save)
        self._timer.start()

    def save(self) -> None:
        """Writes the session in the background, if there is something new to lose."""
        document = self.session.document
        if self.session.recording is None or self._busy:
            return
        if not self.session.modified:
            self._remove()
            return
        if document is self._written:
            return
        snapshot, self._busy = Snapshot.of(self.session), True

        def done(_) -> None:
            self._busy, self._written = False, document

        def failed(error) -> None:
            self._busy = False
            self.session.report(f"Unsaved work could not be kept safe: {error} Save the session yourself.")
        self.session.tasks.run(lambda: self.writer.write(self.path, snapshot), done, failed)

    def orphans(self) -> list[Path]:
        """Files of processes that ended without closing, the newest first."""
        found = []
        for path in self.folder.glob(f"*{ENDING}"):
            if path != self.path:
                lock = _lock_of(path)
                if lock.tryLock(0):
                    lock.unlock()
                    found.append(path)
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    def close(self) -> None:
        """The work is saved, or the user gave it up."""
        self._timer.stop()
        self._remove()
        self._lock.unlock()

    def _remove(self) -> None:
        self._written = None
        with contextlib.suppress(OSError):
            self.path.unlink()


def _lock_of(path: Path) -> QLockFile:
    lock = QLockFile(str(path.with_suffix(".lock")))
    lock.setStaleLockTime(0)  # only a process that has ended loses it
    return lock
