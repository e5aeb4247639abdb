"""The takes: which is shown and heard, their names, what was learned in them, and what can be done with them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget

from ..model.render import clock
from .axes import hz_text, time_text
from .handing_over import Grip, HandOver
from .widgets import button, label, named, plain_tip, quiet, row, tool

EMPTY = "No takes yet. Each render is kept here as a take, to be compared and named."


class TakesPanel(QWidget):
    """Signal: export_asked."""

    export_asked = Signal()

    def __init__(self, session, hand_over: HandOver):
        super().__init__()
        self.setObjectName("panel")
        self.session, self.hand_over = session, hand_over
        self.list = named(QListWidget(), "Takes", "Renders of this recording. F2 renames one, Delete removes it; drag "
                          "one to your DAW")
        self.list.setEditTriggers(QListWidget.EditTrigger.EditKeyPressed | QListWidget.EditTrigger.DoubleClicked)
        self.list.setUniformItemSizes(True)
        self.empty = label(EMPTY, "dim")
        self.empty.setWordWrap(True)
        self.details = named(QTextBrowser(), "About the take")
        self.export = button("Export…", "Write the take, after the chain, to a file (Ctrl+E)")
        self.again = button("Use its settings", "Take over the take's target and settings, to go on from there")
        self.rename = button("Rename", "Give the take another name (F2)")
        self.remove = button("Delete", "Delete the take; undo brings it back")
        self.grip = tool("grip", "Drag to your DAW", style="grip")
        self.grip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.grip.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.grip.setCursor(Qt.CursorShape.OpenHandCursor)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(self.empty)
        layout.addWidget(self.list, 2)
        layout.addLayout(row(self.rename, self.remove))
        layout.addWidget(self.details, 3)
        layout.addLayout(row(self.again, self.export))
        layout.addWidget(self.grip)
        self.list.currentItemChanged.connect(self._chosen)
        self.list.itemChanged.connect(self._renamed)
        self.export.clicked.connect(self.export_asked)
        self.again.clicked.connect(self._use_settings)
        self.rename.clicked.connect(lambda: self.list.editItem(self.list.currentItem()))
        self.remove.clicked.connect(self.remove_current)
        QShortcut(QKeySequence(Qt.Key.Key_Delete), self.list, self.remove_current,
                  context=Qt.ShortcutContext.WidgetShortcut)
        self.grip.clicked.connect(hand_over.copy)
        Grip(self.grip, hand_over)
        Grip(self.list.viewport(), hand_over, lambda at: self.list.itemAt(at) is not None)
        hand_over.changed.connect(self._show_grip)
        self._shown = None
        session.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        document = self.session.document
        key = (document.takes, document.current)
        if self._shown is not None and self._shown[0] is key[0] and self._shown[1] == key[1]:
            return
        self._shown = key
        with quiet(self.list):
            self.list.clear()
            for take in document.takes:
                item = QListWidgetItem(take.name)
                item.setData(Qt.ItemDataRole.UserRole, take.id)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                item.setToolTip(plain_tip(take.options.summary()))
                self.list.addItem(item)
                if take.id == document.current:
                    self.list.setCurrentItem(item)
        there = bool(document.takes)
        for widget in (self.list, self.details, self.export, self.again, self.rename, self.remove, self.grip):
            widget.setVisible(there)
        self.empty.setVisible(not there)
        self.layout().setAlignment(self.empty, Qt.AlignmentFlag.AlignTop)
        self.details.setHtml(self._html(document.take) if document.take else "")
        self._show_grip()

    def _show_grip(self) -> None:
        self.grip.setText(" Writing its file…" if self.hand_over.writing else " Drag to your DAW")
        take = self.session.document.take
        if take is None:
            return
        rate, whole = self.session.recording.sample_rate, take.is_whole(self.session.recording.audio.shape[1])
        place = "where the recording's clip begins" if whole else f"{take.start / rate:.3f} s into the recording's clip"
        named(self.grip, "Drag to your DAW", f"Drag the take onto a track, to {place}. A click copies it instead, to "
              "be pasted there (Ctrl+Shift+C). Its file is written next to the recording and stays there")

    def _html(self, take) -> str:
        rate = self.session.recording.sample_rate
        rows = [("Passage", "whole recording" if take.is_whole(self.session.recording.audio.shape[1]) else
                 f"{time_text(take.start / rate, 0.1)} to {time_text((take.start + take.samples) / rate, 0.1)}"),
                ("Preset", f"{take.options.preset}, {take.options.quality}"), ("Seed", str(take.options.seed)),
                ("Target", take.target.origin if take.target else "the preset's own"),
                ("Time taken", clock(take.taken_s))]
        if take.options.expert:
            rows.append(("Expert", ", ".join(f"{name} = {value}" for name, value in take.options.expert.items())))
        if take.learned and take.learned.breakpoints_hz:
            rows.append(("Breakpoints", ", ".join(map(hz_text, take.learned.breakpoints_hz)) + " Hz"))
            slopes = [round(slope, 1) + 0.0 for slope in take.learned.slopes_db_per_octave]  # no minus zero
            rows.append(("Slopes", ", ".join(f"{slope:+.1f}" for slope in slopes) + " dB/octave"))
        table = "".join(f'<tr><td style="color:#969da8; padding:1px 10px 1px 0">{name}</td>'
                        f"<td>{value.replace('-', '−') if name == 'Slopes' else _escaped(value)}</td></tr>"
                        for name, value in rows)
        notes = "".join(f"<p>{_escaped(note)}</p>" for note in take.notes)
        return f"<table>{table}</table>{notes}"

    def _chosen(self, item) -> None:
        if item is not None:
            self.session.choose_take(item.data(Qt.ItemDataRole.UserRole))

    def _renamed(self, item) -> None:
        self._shown = None
        self.session.rename_take(item.data(Qt.ItemDataRole.UserRole), item.text())
        self.refresh()

    def remove_current(self) -> None:
        if self.session.document.current:
            self.session.remove_take(self.session.document.current)

    def _use_settings(self) -> None:
        take = self.session.document.take
        if take:
            self.session.use_settings(take)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
