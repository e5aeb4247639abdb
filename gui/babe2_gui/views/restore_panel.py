"""How to restore, and how far that has got."""

from __future__ import annotations

import random

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFormLayout, QProgressBar, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from babe2_fx.catalogue.presets import MISSING, PresetError, list_presets, load_preset
from babe2_fx.errors import UserError

from ..model.engine import devices
from . import theme
from .dialogs import CardDialog
from .settings_form import SettingsForm
from .widgets import Combo, Slider, Whole, button, choice, label, named, quiet, row, rule, tool

QUALITY_WORDS = {"draft": "Draft: quick, to try", "standard": "Standard: to keep",
                 "paper": "Paper: as published, slow"}


class RestorePanel(QWidget):
    def __init__(self, session):
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(9)
        self._make_choices()
        form = QFormLayout()
        form.setHorizontalSpacing(10)
        form.setVerticalSpacing(8)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Preset", self.preset)
        form.addRow("", self.state)
        form.addRow("", row(self.card, self.install, 1))
        form.addRow("Quality", self.quality)
        form.addRow("Device", self.device)
        form.addRow("Seed", row(self.seed, self.dice))
        form.addRow("Target match", row(self.match, self.match_words))
        layout.addLayout(form)
        self.expert = tool(None, "Expert settings", "All settings of the restoration", "Expert settings",
                           checkable=True, style="flat")
        self.expert.setArrowType(Qt.ArrowType.RightArrow)
        self.expert.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.expert.toggled.connect(self._show_expert)
        self.settings = SettingsForm()
        self.settings.edited.connect(self._edit_setting)
        self.settings.cleared.connect(self._clear_setting)
        self.scroll = QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setWidget(self.settings)
        self.scroll.viewport().setAutoFillBackground(False)
        self.settings.setAutoFillBackground(False)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll.hide()
        layout.addWidget(self.expert, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.scroll, 1)
        self.space = QWidget()
        self.space.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout.addWidget(self.space, 1)
        layout.addWidget(rule())
        layout.addLayout(self._runner())
        self._shown_presets, self._shown_options = [], None
        session.changed.connect(self.refresh)
        session.progressed.connect(self.show_progress)
        self.refresh()
        self.show_progress(None)
        session.tasks.run(devices, self._show_devices, session.report)

    def _make_choices(self) -> None:
        self.preset = named(Combo(), "Preset", "What kind of music it is: chooses the model that knows it")
        self.card = tool(None, "About this preset", "What the preset's model was trained on, and what it is good for",
                         "About")
        self.install = tool(None, "Install the model", "Download and install the published model of this preset; it is "
                            "large", "Install")
        self.install.clicked.connect(self._install)
        self.state = label("", "dim")
        self.state.setWordWrap(True)
        self.quality = choice("Quality", "How much work to put in", QUALITY_WORDS)
        self.device = choice("Device", "Where to compute. A GPU makes it many times faster", {"auto": "Automatic"})
        self.seed = named(Whole(0, 2 ** 31 - 1), "Seed", "Seed of all random numbers. The same seed repeats a render "
                          "on the same machine")
        self.dice = tool("dice", "Another seed", "Another seed, for another version of what is synthesised")
        self.match = named(Slider(100), "Target match", "How far the restored spectrum is pulled to the target at the "
                           "end, 0 to 100 %")
        self.match_words = label("0 %", "dim")
        self.match_words.setFixedWidth(40)
        self.match_words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        change = self.session.set_options
        self.preset.activated.connect(lambda *_: change("Choose preset", preset=self.preset.currentData()))
        self.quality.activated.connect(lambda *_: change("Choose quality", quality=self.quality.currentData()))
        self.device.activated.connect(lambda *_: change("Choose device", device=self.device.currentData()))
        self.seed.valueChanged.connect(lambda value: change("Change seed", "seed", seed=value))
        self.dice.clicked.connect(lambda: change("Another seed", seed=random.randrange(10000)))
        self.match.valueChanged.connect(lambda value: change("Change target match", "match", target_match=value / 100))
        self.card.clicked.connect(self.show_card)

    def _runner(self) -> QVBoxLayout:
        self.all = button("Restore", "Restore the whole recording (Ctrl+R)", primary=True)
        self.passage = button("Restore selection", "Restore the selected passage first, as a preview (Ctrl+Shift+R)")
        self.pause = button("Pause", "Pause after this step, or go on")
        self.pause.setCheckable(True)
        self.cancel = button("Cancel", "Stop at once. Finished blocks are kept, and the same render goes on from there "
                             "when it is started again (Escape)")
        self.bar = named(QProgressBar(), "Progress of the render")
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.words = label("", "dim")
        self.left = label("", "dim")
        self.left.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.all.clicked.connect(lambda: self.session.render())
        self.passage.clicked.connect(lambda: self.session.render(True))
        self.pause.toggled.connect(self.session.pause)
        self.cancel.clicked.connect(self.session.cancel)
        runner = QVBoxLayout()
        runner.setSpacing(8)
        runner.addWidget(self.words)
        runner.addWidget(self.bar)
        runner.addWidget(self.left)
        runner.addLayout(row(self.pause, self.cancel))
        runner.addWidget(self.passage)
        runner.addWidget(self.all)
        return runner

    # ------------------------------------------------------------------------------------------------ showing

    def refresh(self) -> None:
        options = self.session.document.options
        self._show_buttons()
        if self._shown_options is options:
            return
        self._shown_options = options
        self._show_presets()
        with quiet(self.preset, self.quality, self.device, self.seed, self.match):
            self.preset.setCurrentIndex(self.preset.findData(options.preset))
            self.quality.setCurrentIndex(self.quality.findData(options.quality))
            if self.device.findData(options.device) < 0:
                self.device.addItem("GPU", options.device)
            self.device.setCurrentIndex(self.device.findData(options.device))
            self.seed.setValue(min(options.seed, self.seed.maximum()))
            self.match.setValue(round(options.target_match * 100))
        self.match_words.setText(f"{options.target_match:.0%}".replace("%", " %"))
        try:
            preset = load_preset(options.preset)
            self.settings.show_settings(options.settings, set(options.expert), options.idle())
            missing = preset.state == MISSING
            self.state.setText("Its model is not installed yet." if missing else
                               f"{preset.description.split('. ')[0].rstrip('.')}.")
            self.install.setVisible(missing and preset.weights is not None)
        except (UserError, ValueError) as error:
            self.state.setText(str(error))
            self.install.hide()
        changed = f" ({len(options.expert)} changed)" if options.expert else ""
        self.expert.setText(f"Expert settings{changed}")

    def _show_presets(self) -> None:
        names = list_presets()
        if names == self._shown_presets:
            return
        self._shown_presets = names
        self.preset.clear()
        for name in names:
            try:
                preset = load_preset(name)
                self.preset.addItem(preset.title, name)
                usable = preset.state != MISSING
            except PresetError:
                self.preset.addItem(name, name)
                usable = False
            if not usable:
                last = self.preset.count() - 1
                self.preset.setItemData(last, QColor(theme.DIM), Qt.ItemDataRole.ForegroundRole)
                self.preset.setItemData(last, "Not installed yet: choose it to see how", Qt.ItemDataRole.ToolTipRole)

    def _show_devices(self, found: list[tuple[str, str]]) -> None:
        with quiet(self.device):
            self.device.clear()
            for name, words in found:
                self.device.addItem(words, name)
            self.device.setCurrentIndex(max(self.device.findData(self.session.document.options.device), 0))

    def _show_expert(self, shown: bool) -> None:
        self.expert.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self.scroll.setVisible(shown)
        self.space.setVisible(not shown)

    def _show_buttons(self) -> None:
        running, ready = self.session.job is not None, self.session.recording is not None
        self.all.setEnabled(ready and not running)
        self.passage.setEnabled(ready and not running and self.session.view.selection_s is not None)
        for widget in (self.all, self.passage):
            widget.setVisible(not running)
        for widget in (self.pause, self.cancel, self.bar, self.words, self.left):
            widget.setVisible(running)

    def show_progress(self, state) -> None:
        self._show_buttons()
        if state is None:
            return
        self.bar.setRange(0, 1000 if state.steps else 0)  # busy, without a share, while it prepares
        self.bar.setValue(round(state.share * 1000))
        self.words.setText(state.words())
        self.left.setText(state.left_words())
        with quiet(self.pause):
            self.pause.setChecked(state.paused)
            self.pause.setText("Go on" if state.paused else "Pause")

    # ------------------------------------------------------------------------------------------------ editing

    def _edit_setting(self, name: str, value) -> None:
        try:
            expert = self.session.document.options.with_expert(name, value)
        except (UserError, ValueError) as error:
            self._shown_options = None  # the form shows again what is
            self.session.report(error)
            self.refresh()
        else:
            self._set_expert(name, expert)

    def _clear_setting(self, name: str) -> None:
        self._set_expert(name, self.session.document.options.without_expert(name))

    def _set_expert(self, name: str, expert: dict) -> None:
        self._shown_options = None  # the form is shown again, whether or not the value is taken
        self.session.set_options(f"Change {name.replace('_', ' ')}", ("setting", name), expert=expert)

    def _install(self) -> None:
        """Downloads the preset's weights in the background."""
        self.install.setEnabled(False)

        def progress(done: int, total: int | None) -> None:
            share = f" {done / total:.0%}" if total else f" {done >> 20} MB"
            self.session.tasks.call_here(lambda: self.install.setText(f"Installing{share}"))

        def ended(error: Exception | None) -> None:
            self.install.setEnabled(True)
            self.install.setText("Install")
            self._shown_options, self._shown_presets = None, []
            if error:
                self.session.report(error)
            self.session.start()
        self.session.install_model(progress, ended)

    def show_card(self) -> None:
        try:
            CardDialog(self.window(), load_preset(self.session.document.options.preset)).open()
        except PresetError as error:
            self.session.report(error)
