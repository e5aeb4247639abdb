"""The chain in the real window: effects by button, key and drag, and boards."""

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import Qt  # noqa: E402
from PySide6.QtWidgets import QListWidget  # noqa: E402


def test_effects_are_added_changed_moved_and_undone(opened):
    chain, session = opened.chain, opened.session
    opened.tabs.setCurrentWidget(chain)
    chain.add_effect("before", "HighpassFilter")
    chain.add_effect("after", "Gain")
    form = chain.scroll.widget()
    form.editors["gain_db"].setValue(-4.0)
    assert session.document.after[0].values["gain_db"] == -4.0
    assert chain.scroll.widget() is form  # not made again under the user's hand
    chain.move(-1)
    assert [effect.plugin for effect in session.document.before] == ["HighpassFilter", "Gain"]
    chain.lists["before"].item(0).setCheckState(Qt.CheckState.Unchecked)
    assert not session.document.before[0].enabled
    for _ in range(5):
        opened.menus.undo.trigger()
    assert session.document.before == session.document.after == ()
    assert chain.lists["before"].count() == 0


def test_an_effect_is_dragged_from_one_list_to_the_other(opened, wait, monkeypatch):
    chain, session = opened.chain, opened.session
    opened.tabs.setCurrentWidget(chain)
    chain.add_effect("before", "Gain")
    wait()
    source, target = chain.lists["before"], chain.lists["after"]

    def drag_and_drop(self, actions):  # what Qt does between press and release, which needs a real mouse
        target.dropMimeData(0, source.mimeData([source.item(0)]), Qt.DropAction.MoveAction)
        source.takeItem(0)
    monkeypatch.setattr(QListWidget, "startDrag", drag_and_drop)
    source.startDrag(Qt.DropAction.MoveAction)
    assert session.document.before == () and [e.plugin for e in session.document.after] == ["Gain"]


def test_boards_are_saved_and_loaded(opened, tmp_path):
    chain, session = opened.chain, opened.session
    chain.add_effect("before", "HighpassFilter")
    session.change_target(lambda curve: curve.shifted(1.0), "Shift")
    target = session.document.target
    chain.save_board(str(tmp_path / "board.toml"))
    session.edit("Clear", before=(), target=None)
    opened.files.open(str(tmp_path / "board.toml"))
    assert [effect.plugin for effect in session.document.before] == ["HighpassFilter"]
    assert (tmp_path / "board.target.csv").is_file() and target is not None
