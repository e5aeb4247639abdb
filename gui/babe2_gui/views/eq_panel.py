"""The EQ view: a legend that switches curves, the plot, and the numbers and tools for the target."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFileDialog, QMenu, QVBoxLayout, QWidget

from babe2_fx.audio.kinds import dialog_patterns

from ..model.curve import HIGHEST_DB, HIGHEST_HZ, LOWEST_DB, LOWEST_HZ
from ..model.curve import TargetCurve as Curve
from ..model.take import Learned
from . import theme
from .eq_plot import EqPlot
from .icons import swatch
from .widgets import Number, label, named, quiet, row, tool

CURVE_FILES = f"Curves and recordings ({dialog_patterns('.csv', '.txt', '.tsv', '.json')});;All files (*)"


class EqPanel(QWidget):
    def __init__(self, session):
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        self.plot = EqPlot(session)
        self.setAcceptDrops(False)
        self.legend = {}
        for name, style in theme.LEGEND.items():
            entry = tool(None, f"Show {style.title.lower()}", style.tip, f" {style.title}", True, "legend")
            entry.setIcon(swatch(style))
            entry.setIconSize(QSize(26, 12))
            entry.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            entry.setChecked(True)
            entry.toggled.connect(self._toggled)
            self.legend[name] = entry
        self.readout = label("", "dim")
        self.readout.setMinimumWidth(130)
        self.readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.plot.hovered.connect(self.readout.setText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(row(label("Equalizer", "heading"), *self.legend.values(), 1, self.readout, spacing=4,
                             margins=(12, 5, 12, 3)))
        layout.addWidget(self.plot, 1)
        layout.addLayout(self._editor())
        self._shown = {}
        session.changed.connect(self.refresh)
        session.progressed.connect(self._progressed)
        self.refresh()

    def _editor(self):
        self.where = label("", "dim")
        self.where.setMinimumWidth(120)
        self.hz = named(Number(LOWEST_HZ, HIGHEST_HZ, 1, "Hz"), "Frequency of the point", "Frequency of the selected "
                        "target point, Hz")
        self.db = named(Number(LOWEST_DB, HIGHEST_DB, 2, "dB", 0.5), "Level of the point", "Level of the selected "
                        "target points, dB")
        self.slope = named(Number(-200, 200, 2, "dB/oct", 0.5), "Slope after the point", "Slope from the selected "
                           "point to the next, dB per octave. The wheel over the curve changes it too")
        for box, width in ((self.hz, 88), (self.db, 82), (self.slope, 108)):
            box.setFixedWidth(width)
        self.hz.valueChanged.connect(lambda hz: self._edit_point(hz=hz))
        self.db.valueChanged.connect(lambda db: self._edit_point(db=db))
        self.slope.valueChanged.connect(self._edit_slope)
        self.draw = tool("draw", "Draw freehand", "Draw the target freehand (D)", "Draw", checkable=True)
        self.draw.toggled.connect(self._set_drawing)
        smooth = tool("smooth", "Smooth", "Smooth the target by a third of an octave", "Smooth")
        smooth.clicked.connect(self.smooth)
        up = tool("up", "Shift up", "Shift the target up by 1 dB. Only its shape matters to the restoration")
        down = tool("down", "Shift down", "Shift the target down by 1 dB. Only its shape matters to the restoration")
        up.clicked.connect(lambda: self.shift(1.0))
        down.clicked.connect(lambda: self.shift(-1.0))
        self.source = tool("open", "Target from", "Start the target from a file, the preset or this recording",
                           "Target from…")
        self.source.setPopupMode(self.source.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.source)
        menu.addAction("Reference recording or curve…", self.load)
        menu.addAction("The preset, to edit", self.from_preset)
        menu.addAction("This recording's spectrum, to edit", self.from_input)
        menu.addSeparator()
        self.reset_action = menu.addAction("Back to the preset's own", self.to_preset)
        self.source.setMenu(menu)
        return row(self.where, self.hz, self.db, self.slope, 1, self.draw, smooth, up, down, self.source,
                   spacing=5, margins=(12, 4, 12, 7))

    # ------------------------------------------------------------------------------------------------ showing

    def refresh(self) -> None:
        """Shows what is new in the session."""
        session, document = self.session, self.session.document
        take = document.take
        self._once("target", (session.shown_target, frozenset(session.selected)), lambda: self.plot.set_target(
            session.shown_target, session.selected, document.target is not None))
        self._once("input", (session.input_spectrum,), self._show_input)
        restored = (take.spectra[0], take.spectra[2]) if take and take.spectra else (None, None)
        self._once("restored", (take,), lambda: self.plot.set_curve("restored", *restored))
        if session.job is None:
            self._once("learned", (take,), lambda: self._show_learned(take.learned if take else None, False))
        self._once("hidden", (frozenset(session.view.hidden),), self._show_hidden)
        self._show_point()
        self.reset_action.setEnabled(document.target is not None)

    def _show_input(self) -> None:
        self.plot.set_curve("input", *(self.session.input_spectrum or (None, None)))
        if self.session.input_spectrum and self.session.view.level_db is None:
            self.plot.reset_view()

    def _once(self, name: str, key: tuple, show) -> None:
        """Draws only what has changed; arrays are the same only if they are one object."""
        held = self._shown.get(name)
        if held is None or any(a is not b and (isinstance(a, tuple) or a != b) for a, b in zip(held, key, strict=True)):
            self._shown[name] = key
            show()

    def _show_hidden(self) -> None:
        hidden = set(self.session.view.hidden)
        for name, entry in self.legend.items():
            with quiet(entry):
                entry.setChecked(name not in hidden)
        self.plot.set_hidden(hidden)

    def _toggled(self) -> None:
        self.session.view.hidden = tuple(name for name, entry in self.legend.items() if not entry.isChecked())
        self._once("hidden", (frozenset(self.session.view.hidden),), self._show_hidden)

    def _progressed(self, state) -> None:
        if state is None:
            self._shown.pop("learned", None)
            self.refresh()
        elif state.learned is not None and not state.paused:
            self._show_learned(state.learned, True)
        elif state.steps == 0:
            self._show_learned(None, False)

    def _show_learned(self, learned: Learned | None, animate: bool) -> None:
        self.plot.set_learned(learned, animate)
        self.legend["deviation"].setVisible(self.plot.learned.has_band)

    def _show_point(self) -> None:
        curve, selected = self.session.shown_target, sorted(self.session.selected)
        one = selected[0] if curve and len(selected) == 1 else None
        slope = curve.slope_after(one) if one is not None else None
        with quiet(self.hz, self.db, self.slope):
            self.hz.setEnabled(one is not None)
            self.db.setEnabled(bool(selected) and curve is not None)
            self.slope.setEnabled(slope is not None)
            if one is not None:
                self.where.setText(f"Point {one + 1} of {len(curve.points)}")
                self.hz.setValue(curve.points[one][0])
                self.db.setValue(curve.points[one][1])
                self.slope.setValue(slope or 0.0)
            elif selected and curve:
                self.where.setText(f"{len(selected)} points")
                self.db.setValue(sum(curve.points[index][1] for index in selected) / len(selected))
            else:
                self.where.setText("No point selected" if curve else "No target")
            for box in (self.hz, self.db, self.slope):
                if not box.isEnabled():
                    box.clear()

    # ------------------------------------------------------------------------------------------------ editing

    def _edit_point(self, hz: float | None = None, db: float | None = None) -> None:
        selected = sorted(self.session.selected)
        if not selected:
            return

        def change(curve: Curve) -> Curve:
            if len(selected) > 1:
                mean = sum(curve.points[index][1] for index in selected) / len(selected)
                return curve.shifted(db - mean, set(selected))
            at_hz, at_db = curve.points[selected[0]]
            return curve.moved(selected[0], at_hz if hz is None else hz, at_db if db is None else db)
        self.session.change_target(change, "Enter point")

    def _edit_slope(self, slope: float) -> None:
        selected = sorted(self.session.selected)
        if len(selected) == 1:
            def change(curve: Curve) -> Curve:
                before = curve.slope_after(selected[0])
                middle = (curve.points[selected[0]][0] * curve.points[selected[0] + 1][0]) ** 0.5
                return curve.steeper(middle, slope - before)
            self.session.change_target(change, "Enter slope")

    def _set_drawing(self, drawing: bool) -> None:
        self.plot.drawing = drawing
        self.plot.setCursor(Qt.CursorShape.CrossCursor if drawing else Qt.CursorShape.ArrowCursor)

    def smooth(self) -> None:
        self.session.selected = set()
        self.session.change_target(Curve.smoothed, "Smooth target")

    def shift(self, db: float) -> None:
        self.session.change_target(lambda curve: curve.shifted(db), "Shift target", "shift")

    def load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Target from a reference recording or a curve", "", CURVE_FILES)
        if path:
            self.session.load_target(path)

    def from_preset(self) -> None:
        curve = self.session.preset_target
        if curve is None:
            self.session.report("The preset's spectrum is not known: its weights are not installed. Load a target from "
                                "a file.")
        else:
            self.session.set_target(curve, "Target from preset", selected=set())

    def from_input(self) -> None:
        found = self.session.input_spectrum
        if found is None:
            self.session.report("Open a recording first; its spectrum can then be the start of a target.")
        else:
            self.session.set_target(Curve.from_spectrum(*found, "this recording"), "Target from recording",
                                    selected=set())

    def to_preset(self) -> None:
        self.session.set_target(None, "Back to preset's target", selected=set())
