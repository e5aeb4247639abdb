"""What is dropped, as paths; and texts from files, which are shown as they are."""

import os
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtWidgets import QFormLayout, QLabel, QMessageBox

from babe2_fx.errors import UserError
from babe2_gui.views.dialogs import ask
from babe2_gui.views.widgets import local_paths, named


@pytest.mark.parametrize("address, path", [
    ("file:///music/caf%E9.wav", os.fsdecode(b"/music/caf\xe9.wav")),
    ("file:///music/caf%C3%A9%20%231.wav", "/music/café #1.wav"),
    ("file:///music/%E7%B5%86.wav", "/music/絆.wav")])
def test_a_dropped_file_is_found_whatever_the_bytes_of_its_name(address, path):
    data = QMimeData()
    data.setUrls([QUrl(address)])
    assert local_paths(SimpleNamespace(mimeData=lambda: data)) == [path]


NAME = '<img src="/dev/zero">.wav'  # as HTML, it is read until no memory is left


def test_names_are_no_html_in_the_window(window):
    """Qt guesses whether a text is HTML; a name in it could then have any file read."""
    def all_of(kind):
        return [made for place in (window, window.batch) for made in place.findChildren(kind)]
    of_rows = [form.itemAt(row, QFormLayout.ItemRole.LabelRole) for form in all_of(QFormLayout)  # our own words
               for row in range(form.rowCount())]
    labels = set(all_of(QLabel)) - {item.widget() for item in of_rows if item}
    assert len(labels) > 20
    assert [made.text() for made in labels if made.textFormat() != Qt.TextFormat.PlainText] == []
    window.session.report(UserError(f"There is no file {NAME}."))
    assert NAME in window.banner.text.text() and window.banner.isVisible()


def test_names_are_no_html_in_tips_and_questions(window, monkeypatch):
    made = named(QLabel(), "A label", f"Opens {NAME}")
    assert made.toolTip() == '<p>Opens &lt;img src="/dev/zero"&gt;.wav</p>'
    assert named(QLabel(), "Gain < 3 dB").toolTip() == "Gain < 3 dB"
    boxes = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: boxes.append(box))
    ask(window, f"“{NAME}” has changes that are not saved.", "", {"save": "Save", "cancel": "Cancel"})
    assert boxes[0].textFormat() == Qt.TextFormat.PlainText
