"""What the Help menu shows: the tour, the keys, and about."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMessageBox

from .tour import Tour

STEPS = (("Open a recording", "Drop a file on the window. Its spectrum over frequency is drawn above, before and after "
          "over time below. Drag in the timeline to select a passage."),
         ("Shape the target", "The yellow curve is the spectrum to aim for. Drag its points, double-click to add one, "
          "scroll to change a slope, or draw it freehand. Everything can be undone."),
         ("Restore", "Choose what kind of music it is. Try a selected passage first; then restore everything. You can "
          "watch what it learns of the medium, and cancel at any time."),
         ("Compare", "Press A for the original, B for the restored version and E for a plain equalizer, all equally "
          "loud. Each render is kept as a take; export the one you like."))


def start_tour(window) -> None:
    """Four steps through the window, which are not offered again."""
    places = (window.timeline, window.eq, window.tabs, window.transport)
    window.tabs.setCurrentIndex(0)
    Tour(window, [(place, *step) for place, step in zip(places, STEPS)],
         lambda: window.settings.setValue("tour_done", True))


def show_keys(window) -> None:
    """All actions of the window that have keys."""
    native = QKeySequence.SequenceFormat.NativeText
    rows = "".join(f"<tr><td style='padding:2px 24px 2px 0'>{action.text().replace('&', '')}</td>"
                   f"<td>{', '.join(key.toString(native) for key in keys)}</td></tr>"
                   for action in window.actions() if (keys := action.shortcuts()))
    _message(window, "Keys", f"<table>{rows}</table>")


def show_about(window) -> None:
    _message(window, "About", "<b>BABE-2 FX</b><p>A generative equalizer for old music recordings: estimates what the "
             "medium did to the spectrum and synthesises what it lost.</p><p>What it adds is plausible, not true: a "
             "model of other music imagined it.</p><p>E. Moliner, M. Turunen, F. Elvander and V. Välimäki, DAFx 2024. "
             "GPL-3.0-or-later.</p>")


def _message(window, title: str, html: str) -> None:
    box = QMessageBox(QMessageBox.Icon.NoIcon, title, html, QMessageBox.StandardButton.Close, window)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
