"""Controls for an effect's parameters, made from what it says about them."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QWidget

from ..model.chain import Effect, Parameter, parameters, position, value_at
from .widgets import Combo, Number, Slider, label, named, quiet

STEPS = 1000


class ParameterForm(QWidget):
    """Signal: edited (name, value)."""

    edited = Signal(str, object)

    def __init__(self, effect: Effect):
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 2)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        self.editors: dict[str, QWidget] = {}
        for at, parameter in enumerate(parameters(effect)):
            grid.addWidget(label(parameter.title), at, 0)
            if parameter.choices:
                grid.addWidget(self._choice(parameter), at, 1, 1, 2)
            elif parameter.low is None:
                grid.addWidget(self._switch(parameter), at, 1, 1, 2)
            else:
                slider, number = self._number(parameter)
                grid.addWidget(slider, at, 1)
                grid.addWidget(number, at, 2)
        grid.setRowStretch(grid.rowCount(), 1)

    def _choice(self, parameter: Parameter) -> Combo:
        combo = named(Combo(), parameter.title)
        combo.addItems(parameter.choices)
        combo.setCurrentText(parameter.value)
        combo.currentTextChanged.connect(lambda text: self.edited.emit(parameter.name, text))
        self.editors[parameter.name] = combo
        return combo

    def _switch(self, parameter: Parameter) -> QCheckBox:
        check = named(QCheckBox(), parameter.title)
        check.setChecked(parameter.value)
        check.toggled.connect(lambda on: self.edited.emit(parameter.name, on))
        self.editors[parameter.name] = check
        return check

    def _number(self, parameter: Parameter) -> tuple[Slider, Number]:
        extent = f"{parameter.low:g} to {parameter.high:g} {parameter.unit}".strip()
        slider = named(Slider(STEPS), parameter.title, f"{parameter.title}, {extent}")
        number = named(Number(parameter.low, parameter.high, 3, parameter.unit), f"{parameter.title}, number",
                       f"{parameter.title}, {extent}")
        number.setFixedWidth(92)
        number.setSingleStep((parameter.high - parameter.low) / 100)
        number.setValue(parameter.value)
        slider.setValue(round(position(parameter, parameter.value) * STEPS))

        def from_slider(place: int) -> None:
            with quiet(number):
                number.setValue(value_at(parameter, place / STEPS))
            self.edited.emit(parameter.name, number.value())

        def from_number(value: float) -> None:
            with quiet(slider):
                slider.setValue(round(position(parameter, value) * STEPS))
            self.edited.emit(parameter.name, value)
        slider.valueChanged.connect(from_slider)
        number.valueChanged.connect(from_number)
        self.editors[parameter.name] = number
        return slider, number
