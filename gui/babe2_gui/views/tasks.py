"""Work off the window's thread, its results back on it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from PySide6.QtCore import QObject, Qt, Signal

THREADS = 3  # pictures must not wait behind a long analysis


class QtTasks(QObject):
    """`Tasks` of the model, with threads; what is reported comes through the window's event loop."""

    _here = Signal(object)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="task")
        self._closed = False
        self._lock = threading.Lock()  # nothing may be emitted while this object goes away
        self._here.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def run(self, work, done, failed) -> None:
        if self._closed:
            return

        def task() -> None:
            try:
                value = work()
            except Exception as error:
                self.call_here(lambda error=error: failed(error))
            else:
                self.call_here(lambda: done(value))
        self._pool.submit(task)

    def call_here(self, function) -> None:
        with self._lock:
            if not self._closed:
                self._here.emit(function)

    def _call(self, function) -> None:
        if not self._closed:
            function()

    def close(self) -> None:
        """From now on nothing is called; what has not begun is dropped."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
