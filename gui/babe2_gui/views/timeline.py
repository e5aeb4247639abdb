"""Before and after over time: two rows that zoom and scroll together, and the passage that is selected in them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QScrollBar, QVBoxLayout, QWidget

from .axes import time_text
from .timeline_plot import SHORTEST_S, TimelinePlot
from .widgets import label, named, quiet, row, tool

NO_RECORDING = "Drop a recording here, or open one with Ctrl+O"


class Timeline(QWidget):
    """Signals: sought (s), where the user puts the play cursor · selection_changed."""

    sought = Signal(float)
    selection_changed = Signal()

    def __init__(self, session):
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        self.upper = TimelinePlot(session.tasks, "Before", has_times=False)
        self.lower = TimelinePlot(session.tasks, "After", has_times=True)
        self.rows = (self.upper, self.lower)
        self.bar = named(QScrollBar(Qt.Orientation.Horizontal), "Scroll in time")
        self.bar.valueChanged.connect(self._scrolled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(0)
        layout.addLayout(self._header())
        layout.addWidget(self.upper, 10)
        layout.addWidget(self.lower, 11)  # has the axis
        layout.addWidget(self.bar)
        for plot in self.rows:
            plot.selected.connect(self.select)
            plot.sought.connect(self.sought)
            plot.zoomed.connect(self.set_time)
        self._shown, self._kind_of = {}, None
        session.changed.connect(self.refresh)
        session.listening.changed.connect(self.refresh)
        session.progressed.connect(lambda state: self.refresh() if state is None or not state.steps else None)
        self.refresh()

    def _header(self):
        self.wave = tool("wave", "Waveform", "Show waveforms (Shift+W)", "Waveform", checkable=True)
        self.spectrogram = tool("spectrogram", "Spectrogram", "Show spectrograms, frequency in kHz (Shift+S)",
                                "Spectrogram", checkable=True)
        self.restored = tool(None, "After: restored", "Show the take below, after the chain", "Restored",
                             checkable=True)
        self.difference = tool(None, "After: difference", "Show below what the restoration changed: added is orange, "
                               "taken away is blue (Shift+D)", "Difference", checkable=True)
        for first, second, name in ((self.wave, self.spectrogram, "timeline"),
                                    (self.restored, self.difference, "lower")):
            group = QButtonGroup(self)
            group.addButton(first)
            group.addButton(second)
            group.buttonClicked.connect(lambda *_: self._choose())
            setattr(self, f"_{name}_group", group)
        self.selection_label = label("", "dim")
        zoom = tool("zoom", "Zoom to the selection", "Zoom to the selection (Z)", style="flat")
        fit = tool("fit", "Show everything", "Show the whole recording (F)", style="flat")
        zoom.clicked.connect(self.zoom_to_selection)
        fit.clicked.connect(self.fit)
        return row(label("Timeline", "heading"), self.wave, self.spectrogram, label("Below:", "dim"), self.restored,
                   self.difference, 1, self.selection_label, zoom, fit, spacing=5, margins=(12, 5, 10, 4))

    # ------------------------------------------------------------------------------------------------ showing

    def refresh(self) -> None:
        session, recording = self.session, self.session.recording
        if self._shown.get("recording", self) is not recording:
            self._shown = {"recording": recording}
            for plot in self.rows:
                plot.set_recording(*((recording.audio.shape[1], recording.sample_rate) if recording else (0, 44100)))
            self.bar.setVisible(recording is not None)
            self.show_view()
        note = "Reading…" if session.loading else NO_RECORDING
        self._subject("upper", self.upper, (recording.audio, 0) if recording else None, note)
        held = session.listening.restored
        take = session.document.take
        if session.view.lower == "difference" and held:
            held = (*held, recording.audio)
        note = ("" if recording is None else "Restoring…" if session.job and not take else "Preparing the take…" if take
                else "Restore the recording, or a selected passage, to see it here")
        self._subject("lower", self.lower, held if recording else None, note)

    def _subject(self, name: str, plot: TimelinePlot, subject, note: str) -> None:
        key = (tuple(id(part) for part in subject) if subject else None, note if subject is None else "")
        if self._shown.get(name) != key:
            self._shown[name] = key
            plot.set_subject(subject, "" if subject else note)

    def show_view(self) -> None:
        """Takes time, kind and selection from the session's view: at its start, and when one is reopened."""
        view = self.session.view
        for button, on in ((self.wave, view.timeline == "waveform"), (self.spectrogram, view.timeline != "waveform"),
                           (self.restored, view.lower != "difference"), (self.difference, view.lower == "difference")):
            button.setChecked(on)
        self._set_kind()
        if self.duration_s:
            self.set_time(*(view.time_s or (0.0, self.duration_s)))
        self.select(view.selection_s)
        self.set_cursor(view.position_s)

    def _choose(self) -> None:
        view = self.session.view
        view.timeline = "waveform" if self.wave.isChecked() else "spectrogram"
        view.lower = "difference" if self.difference.isChecked() else "restored"
        self._set_kind()
        self.refresh()

    def toggle_difference(self) -> None:
        (self.restored if self.difference.isChecked() else self.difference).click()

    def _set_kind(self) -> None:
        kind, recording = self.session.view.timeline, self.session.recording
        if self._kind_of != (kind, id(recording)):
            self._kind_of = kind, id(recording)
            for plot in self.rows:
                plot.set_kind(self.session.view.timeline)

    @property
    def duration_s(self) -> float:
        return self.session.recording.duration_s if self.session.recording else 0.0

    # ------------------------------------------------------------------------------------- time and selection

    def set_time(self, begin: float, end: float) -> None:
        """The visible stretch; kept within the recording."""
        whole = self.duration_s
        if not whole:
            return
        length = min(max(end - begin, SHORTEST_S), whole)
        begin = min(max(begin, 0.0), whole - length)
        self.session.view.time_s = (begin, begin + length)
        for plot in self.rows:
            plot.set_time(begin, begin + length)
        with quiet(self.bar):
            self.bar.setRange(0, round((whole - length) * 1000))
            self.bar.setPageStep(max(1, round(length * 1000)))
            self.bar.setSingleStep(max(1, round(length * 50)))
            self.bar.setValue(round(begin * 1000))

    def _scrolled(self, milliseconds: int) -> None:
        begin, end = self.session.view.time_s or (0.0, self.duration_s)
        self.set_time(milliseconds / 1000, milliseconds / 1000 + end - begin)

    def fit(self) -> None:
        self.set_time(0.0, self.duration_s)
        for plot in self.rows:
            plot.zero_view()

    def zoom_to_selection(self) -> None:
        if self.session.view.selection_s:
            begin, end = self.session.view.selection_s
            margin = 0.05 * (end - begin)
            self.set_time(begin - margin, end + margin)

    def zoom(self, scale: float) -> None:
        """Around the middle; less than 1 is nearer."""
        begin, end = self.session.view.time_s or (0.0, self.duration_s)
        middle, half = (begin + end) / 2, (end - begin) / 2 * scale
        self.set_time(middle - half, middle + half)

    def select_all(self) -> None:
        if self.duration_s:
            self.select((0.0, self.duration_s))

    def select(self, span: tuple[float, float] | None) -> None:
        if span and span[1] - span[0] < SHORTEST_S:
            span = None
        self.session.view.selection_s = span
        for plot in self.rows:
            plot.set_selection(span)
        if span:
            step = 0.01 if self.duration_s < 600 else 0.1
            self.selection_label.setText(f"Selection {time_text(span[0], step)} to {time_text(span[1], step)}  "
                                         f"({span[1] - span[0]:.2f} s)")
        else:
            self.selection_label.setText("")
        self.selection_changed.emit()

    def set_cursor(self, seconds: float) -> None:
        for plot in self.rows:
            plot.cursor.setPos(seconds)
