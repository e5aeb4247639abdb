"""What is dropped, as paths."""

import os
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QMimeData, QUrl

from babe2_gui.views.widgets import local_paths


@pytest.mark.parametrize("address, path", [
    ("file:///music/caf%E9.wav", os.fsdecode(b"/music/caf\xe9.wav")),
    ("file:///music/caf%C3%A9%20%231.wav", "/music/café #1.wav"),
    ("file:///music/%E7%B5%86.wav", "/music/絆.wav")])
def test_a_dropped_file_is_found_whatever_the_bytes_of_its_name(address, path):
    data = QMimeData()
    data.setUrls([QUrl(address)])
    assert local_paths(SimpleNamespace(mimeData=lambda: data)) == [path]
