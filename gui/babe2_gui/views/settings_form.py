"""The expert settings, made from their list of names: what that has, the form has."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from babe2_fx.settings import NAMES, Name, Settings

from .widgets import Combo, Number, Whole, label, named, plain_tip, quiet, tool

HEADINGS = {"solver": "Sampler", "guidance": "Guidance", "fit": "Filter", "spectrum": "Long-term spectrum",
            "blocks": "Blocks", "recording": "Recording"}
ELSEWHERE = ("seed",)


class SettingsForm(QWidget):
    """Signals: edited (name, value), by the user · cleared (name), back to the preset's."""

    edited = Signal(str, object)
    cleared = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 4, 0)
        grid.setHorizontalSpacing(5)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(1, 1)
        self.editors, self._labels, self._resets, part = {}, {}, {}, ""
        for item in NAMES.values():
            if item.name in ELSEWHERE:
                continue
            if item.part != part:
                part = item.part
                heading = label(HEADINGS[part], "heading")
                heading.setContentsMargins(0, 8 if self.editors else 0, 0, 0)
                grid.addWidget(heading, grid.rowCount(), 0, 1, 3)
            editor = self._editor(item)
            words = item.name.removesuffix("_db").replace("_", " ")
            title = label(words[:1].upper() + words[1:], buddy=editor)
            reset = tool("reset", f"Reset {item.name.replace('_', ' ')}", "Back to the preset's value", style="flat")
            reset.clicked.connect(lambda *_, name=item.name: self.cleared.emit(name))
            keep = reset.sizePolicy()
            keep.setRetainSizeWhenHidden(True)
            reset.setSizePolicy(keep)
            reset.setFixedWidth(26)
            at = grid.rowCount()
            for column, widget in enumerate((title, editor, reset)):
                grid.addWidget(widget, at, column, Qt.AlignmentFlag.AlignVCenter)
            self.editors[item.name], self._labels[item.name], self._resets[item.name] = editor, title, reset

    def _editor(self, item: Name) -> QWidget:
        if item.choices:
            editor = Combo()
            editor.addItems(item.choices)
            changed = editor.currentTextChanged
        else:
            editor = Whole(int(item.low), int(item.high)) if isinstance(item.default, int) else \
                Number(item.low, item.high, 8, "dB" if item.name.endswith("_db") else "")
            changed = editor.valueChanged
        changed.connect(lambda value: self.edited.emit(item.name, value))
        editor.setMinimumWidth(112)
        return editor

    def show_settings(self, settings: Settings, changed: set[str], idle: dict[str, str]) -> None:
        """Shows values; those that the user changed can be reset, those without an effect are dimmed and say why.

        idle: the names without an effect, and why, as the end of a sentence.
        """
        values = settings.flat()
        for name, editor in self.editors.items():
            value, title = values.get(name, NAMES[name].default), self._labels[name]
            with quiet(editor):
                if isinstance(editor, Combo):
                    editor.setCurrentText(value)
                elif editor.value() != value:
                    editor.setValue(value)
            tip = _tip(NAMES[name]) + (f" Does nothing with {idle[name]}." if name in idle else "")
            named(editor, name.replace("_", " "), tip)
            title.setToolTip(plain_tip(tip))
            for widget in (editor, title):
                widget.setEnabled(name not in idle)
            self._resets[name].setVisible(name in changed)
            font = title.font()
            font.setBold(name in changed)
            title.setFont(font)


def _tip(item: Name) -> str:
    extent = "" if item.choices else f" ({item.extent})"
    return f"{item.help[:1].upper()}{item.help[1:]}{extent}."
