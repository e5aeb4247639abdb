"""How the app looks: one dark palette, one style sheet, and the colours of curves, which colour-blind eyes can tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

WINDOW, PANEL, PLOT, RAISED, LINE = "#1d1f23", "#24272c", "#17191c", "#31353c", "#3a3f47"
TEXT, DIM, ACCENT, ON_ACCENT, WARNING, ERROR = "#d9dce1", "#969da8", "#56b4e9", "#0e1418", "#e69f00", "#d55e00"
PICTURES = Path(__file__).parent.as_posix()


@dataclass(frozen=True)
class CurveStyle:
    """Colour (Okabe and Ito's), width in pixels and stroke of a curve: any two differ in at least two of these."""

    title: str
    colour: str
    width: float
    stroke: Qt.PenStyle
    tip: str


CURVES = {
    "input": CurveStyle("Input", "#56b4e9", 1.4, Qt.PenStyle.SolidLine,
                        "Long-term spectrum of the recording, third octaves, dB"),
    "target": CurveStyle("Target", "#f0e442", 2.0, Qt.PenStyle.SolidLine,
                         "The spectrum to aim for, dB. Drag its points; double-click to add one"),
    "learned": CurveStyle("Learned", "#d55e00", 2.2, Qt.PenStyle.DashLine,
                          "What the medium did to the music, dB, with its five breakpoints"),
    "restored": CurveStyle("Restored", "#009e73", 1.8, Qt.PenStyle.DashDotLine,
                           "Long-term spectrum of the take, third octaves, dB"),
}


@dataclass(frozen=True)
class BandStyle:
    """Colour of a band, and its opacity, 0 to 255."""

    title: str
    colour: str
    alpha: int
    tip: str


DEVIATION = BandStyle("Deviation", CURVES["learned"].colour, 64,
                      "How far the learned response may be wrong: one standard deviation to either side, within which "
                      "about two in three of its values lie. No band where nothing is known")
LEGEND = {name: style for curve in CURVES
          for name, style in ((curve, CURVES[curve]), *([("deviation", DEVIATION)] if curve == "learned" else []))}

STYLE = f"""
* {{ outline: none; }}
QMainWindow, QDialog {{ background: {WINDOW}; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: 4px 6px; }}
QWidget#panel {{ background: {PANEL}; }}
QWidget#bar {{ background: {PANEL}; border: none; }}
QLabel#heading {{ color: {TEXT}; font-weight: 600; }}
QLabel#dim, QLabel#unit {{ color: {DIM}; }}
QLabel#clock {{ font-size: 15pt; color: {TEXT}; }}
QMenuBar {{ background: {WINDOW}; padding: 2px 4px; }}
QMenuBar::item {{ padding: 4px 9px; border-radius: 4px; background: transparent; }}
QMenuBar::item:selected {{ background: {RAISED}; }}
QMenu {{ background: {PANEL}; border: 1px solid {LINE}; padding: 5px; }}
QMenu::item {{ padding: 5px 26px 5px 22px; border-radius: 4px; }}
QMenu::item:selected {{ background: {ACCENT}; color: {ON_ACCENT}; }}
QMenu::item:disabled {{ color: #666c76; }}
QMenu::separator {{ height: 1px; background: {LINE}; margin: 5px 8px; }}
QPushButton, QToolButton {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: 5px; padding: 4px 10px;
    color: {TEXT}; }}
QToolButton {{ padding: 4px 7px; }}
QPushButton:hover, QToolButton:hover {{ background: #3a3f48; }}
QPushButton:pressed, QToolButton:pressed {{ background: #272a30; }}
QPushButton:checked, QToolButton:checked {{ background: #2b4a5c; border-color: {ACCENT}; color: white; }}
QPushButton:disabled, QToolButton:disabled {{ color: #666c76; background: #282b30; border-color: #2f333a; }}
QPushButton:focus, QToolButton:focus, QComboBox:focus, QAbstractSpinBox:focus, QLineEdit:focus, QListWidget:focus,
QPlainTextEdit:focus, QTableView:focus, QTextBrowser:focus {{ border-color: {ACCENT}; }}
QPushButton#primary {{ background: {ACCENT}; border-color: {ACCENT}; color: {ON_ACCENT}; font-weight: 600;
    padding: 7px 14px; }}
QPushButton#primary:hover {{ background: #74c3ef; }}
QPushButton#primary:disabled {{ background: #2c3d48; border-color: #2c3d48; color: #71818c; }}
QPushButton#primary:focus {{ border-color: white; }}
QToolButton#legend {{ background: transparent; border: 1px solid transparent; padding: 3px 7px; color: {DIM}; }}
QToolButton#legend:checked {{ background: transparent; color: {TEXT}; border-color: transparent; }}
QToolButton#legend:hover {{ background: {RAISED}; }}
QToolButton#legend:focus {{ border-color: {ACCENT}; }}
QToolButton#flat {{ background: transparent; border-color: transparent; }}
QToolButton#flat:hover {{ background: {RAISED}; }}
QToolButton#flat:focus {{ border-color: {ACCENT}; }}
QToolButton#grip {{ background: transparent; border: 1px dashed {DIM}; padding: 7px; }}
QToolButton#grip:hover {{ background: {RAISED}; }}
QToolButton#grip:focus {{ border-color: {ACCENT}; }}
QToolButton::menu-indicator {{ image: none; width: 0; }}
QComboBox, QAbstractSpinBox, QLineEdit, QPlainTextEdit {{ background: #1b1d21; border: 1px solid {LINE};
    border-radius: 5px; padding: 3px 7px; min-height: 19px; selection-background-color: {ACCENT};
    selection-color: {ON_ACCENT}; }}
QComboBox:disabled, QAbstractSpinBox:disabled, QLineEdit:disabled {{ color: #666c76; }}
QAbstractSpinBox {{ padding: 3px 0; }}
QAbstractSpinBox QLineEdit {{ background: transparent; border: none; padding: 0; min-height: 0; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ width: 0; border: none; }}
QListWidget QLineEdit {{ padding: 0 4px; min-height: 0; }}
QComboBox::drop-down {{ border: none; width: 20px; }}
QComboBox::down-arrow {{ image: url({PICTURES}/down.svg); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{ background: {PANEL}; border: 1px solid {LINE}; selection-background-color: {ACCENT};
    selection-color: {ON_ACCENT}; padding: 3px; }}
QListWidget, QTextBrowser, QScrollArea#inset {{ background: #1b1d21; border: 1px solid {LINE}; border-radius: 5px; }}
QListWidget::item {{ padding: 5px 7px; border-radius: 4px; color: {TEXT}; }}
QListWidget::item:selected {{ background: #2b4a5c; color: white; }}
QTableView {{ background: #1b1d21; border: 1px solid {LINE}; border-radius: 5px; }}
QTableView::item {{ padding: 0 4px; border: none; }}
QTableView::item:selected {{ background: #2b4a5c; color: white; }}
QHeaderView, QTableView QTableCornerButton::section {{ background: transparent; border: none; }}
QHeaderView::section {{ background: #1b1d21; color: {DIM}; border: none; border-bottom: 1px solid {LINE};
    padding: 5px 7px; }}
QTabWidget::pane {{ border: none; background: {PANEL}; }}
QTabBar {{ background: {WINDOW}; qproperty-drawBase: 0; }}
QTabBar::tab {{ background: transparent; color: {DIM}; padding: 8px 15px; border: none;
    border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {TEXT}; border-bottom-color: {ACCENT}; background: {PANEL}; }}
QTabBar::tab:hover {{ color: {TEXT}; }}
QTabBar::tab:focus {{ color: white; }}
QSplitter::handle {{ background: {WINDOW}; }}
QSplitter::handle:hover {{ background: {LINE}; }}
QScrollArea {{ border: none; background: transparent; }}
QScrollBar {{ background: transparent; border: none; margin: 0; }}
QScrollBar:vertical {{ width: 10px; }}
QScrollBar:horizontal {{ height: 10px; }}
QScrollBar::handle {{ background: #474c55; border-radius: 4px; margin: 1px; min-width: 24px; min-height: 24px; }}
QScrollBar::handle:hover {{ background: #5b616c; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QProgressBar {{ background: #1b1d21; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }}
QProgressBar::chunk {{ background: {ACCENT}; border-radius: 3px; }}
QSlider::groove:horizontal {{ height: 4px; background: #14161a; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {ACCENT}; border-radius: 2px; }}
QSlider::handle:horizontal {{ width: 12px; height: 12px; margin: -4px 0; border-radius: 6px; background: {TEXT}; }}
QSlider::handle:horizontal:focus {{ background: {ACCENT}; }}
QSlider::sub-page:horizontal:disabled {{ background: #3c4047; }}
QSlider::handle:horizontal:disabled {{ background: #5b616c; }}
QCheckBox {{ spacing: 7px; }}
QCheckBox:focus {{ color: {ACCENT}; }}
QCheckBox::indicator, QListWidget::indicator {{ width: 14px; height: 14px; border: 1px solid #626974;
    border-radius: 3px; background: #1b1d21; }}
QCheckBox::indicator:checked, QListWidget::indicator:checked {{ background: {ACCENT}; border-color: {ACCENT};
    image: url({PICTURES}/tick.svg); }}
QStatusBar {{ background: {WINDOW}; color: {DIM}; }}
QStatusBar::item {{ border: none; }}
QFrame#rule {{ background: {LINE}; max-height: 1px; border: none; }}
QFrame#banner {{ background: #33302a; border: none; border-left: 3px solid {WARNING}; }}
QFrame#banner[kind="error"] {{ background: #37291f; border-left-color: {ERROR}; }}
QFrame#tour {{ background: #2a2e34; border: 1px solid {ACCENT}; border-radius: 8px; }}
"""


def apply(app: QApplication) -> None:
    """Gives the whole application its look."""
    app.setStyle("Fusion")
    palette = QPalette()
    roles = QPalette.ColorRole
    for role, colour in ((roles.Window, WINDOW), (roles.WindowText, TEXT), (roles.Base, "#1b1d21"),
                         (roles.AlternateBase, PANEL), (roles.Text, TEXT), (roles.Button, RAISED),
                         (roles.ButtonText, TEXT), (roles.BrightText, "#ffffff"), (roles.Highlight, ACCENT),
                         (roles.HighlightedText, ON_ACCENT), (roles.ToolTipBase, RAISED), (roles.ToolTipText, TEXT),
                         (roles.PlaceholderText, DIM), (roles.Link, ACCENT), (roles.Mid, LINE), (roles.Dark, PLOT)):
        palette.setColor(role, QColor(colour))
    for role in (roles.Text, roles.WindowText, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor("#666c76"))
    app.setPalette(palette)
    font = QFont(app.font())
    font.setPointSizeF(9.5)
    app.setFont(font)
    app.setStyleSheet(STYLE)
