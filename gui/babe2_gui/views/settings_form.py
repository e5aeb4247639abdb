"""The expert settings, made from the settings' own dataclass: what it has, the form has."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from babe2_fx.settings import NAMES, Settings

from .widgets import Combo, Number, Whole, label, named, tool

GROUPS = (("Sampler", "steps"), ("Guidance", "guidance"), ("Filter", "filter_fit"), ("Long-term spectrum", "ltas"),
          ("Whole recordings", "blocks"))  # and the setting that each begins with
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
        self.editors, self._labels, self._resets, at = {}, {}, {}, 0
        begins = {name: title for title, name in GROUPS}
        for item in NAMES.values():
            if item.name in ELSEWHERE:
                continue
            if item.name in begins:
                heading = label(begins[item.name], "heading")
                heading.setContentsMargins(0, 8 if at else 0, 0, 0)
                grid.addWidget(heading, at, 0, 1, 3)
                at += 1
            editor = self._editor(item)
            words = item.name[:1].upper() + item.name[1:].replace("_", " ").replace(" db", "")
            title = label(words, buddy=editor)
            title.setToolTip(editor.toolTip())
            reset = tool("reset", f"Reset {item.name.replace('_', ' ')}", "Back to the preset's value", style="flat")
            reset.clicked.connect(lambda *_, name=item.name: self.cleared.emit(name))
            keep = reset.sizePolicy()
            keep.setRetainSizeWhenHidden(True)
            reset.setSizePolicy(keep)
            reset.setFixedWidth(26)
            for column, part in enumerate((title, editor, reset)):
                grid.addWidget(part, at, column, Qt.AlignmentFlag.AlignVCenter)
            self.editors[item.name], self._labels[item.name], self._resets[item.name] = editor, title, reset
            at += 1

    def _editor(self, item) -> QWidget:
        name, words = item.name, item.help[:1].upper() + item.help[1:]
        if item.choices:
            editor = Combo()
            editor.addItems(item.choices)
            editor.currentTextChanged.connect(lambda text: self.edited.emit(name, text))
            tip = words + "."
        else:
            if isinstance(item.default, int):
                editor = Whole(int(item.low), int(item.high))
            else:
                editor = Number(item.low, item.high, 8, "dB" if name.endswith("_db") else "")
            editor.valueChanged.connect(lambda value: self.edited.emit(name, value))
            tip = f"{words} ({item.extent})."
        editor.setMinimumWidth(112)
        return named(editor, name.replace("_", " "), tip)

    def show_settings(self, settings: Settings, changed: set[str]) -> None:
        """Shows values; those that the user changed can be reset, those without an effect are dimmed and say why."""
        values = settings.flat()
        for name, editor in self.editors.items():
            value = values.get(name, NAMES[name].default)
            editor.setEnabled(name in values)
            self._labels[name].setEnabled(name in values)
            editor.blockSignals(True)
            if isinstance(editor, Combo):
                editor.setCurrentText(value)
            elif editor.value() != value:
                editor.setValue(value)
            editor.blockSignals(False)
            self._resets[name].setVisible(name in changed)
            font = self._labels[name].font()
            font.setBold(name in changed)
            self._labels[name].setFont(font)
