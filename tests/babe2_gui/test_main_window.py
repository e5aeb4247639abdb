"""The real window without a screen: clicks, drags, keys and files, as a user gives them."""

import math
import subprocess
import sys

import numpy as np
import pytest
import soundfile

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl  # noqa: E402
from PySide6.QtGui import QDropEvent, QMouseEvent, QWheelEvent  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox, QListWidget, QSlider  # noqa: E402

from babe2_gui.views import theme  # noqa: E402

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def mouse(widget, kind, position, button=LEFT, modifiers=NONE):
    viewport = widget.viewport()
    event = QMouseEvent(kind, QPointF(position), viewport.mapToGlobal(QPointF(position)), button,
                        button if kind != QEvent.Type.MouseButtonRelease else Qt.MouseButton.NoButton, modifiers)
    QApplication.sendEvent(viewport, event)


def drag(widget, *positions, button=LEFT, modifiers=NONE):
    mouse(widget, QEvent.Type.MouseButtonPress, positions[0], button, modifiers)
    for position in positions[1:]:
        mouse(widget, QEvent.Type.MouseMove, position, button, modifiers)
    mouse(widget, QEvent.Type.MouseButtonRelease, positions[-1], button, modifiers)


def wheel(widget, position, notches, modifiers=NONE):
    viewport = widget.viewport()
    QApplication.sendEvent(viewport, QWheelEvent(
        QPointF(position), viewport.mapToGlobal(QPointF(position)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, modifiers, Qt.ScrollPhase.NoScrollPhase, False))


def key(widget, which, modifiers=NONE):
    widget.setFocus()
    QTest.keyClick(widget, which, modifiers)


# ------------------------------------------------------------------------------------------------ the EQ view

def test_a_point_is_dragged_to_where_the_mouse_is(opened, wait):
    plot, session = opened.eq.plot, opened.session
    hz, db = session.shown_target.points[2]
    drag(plot, plot.place(hz, db), plot.place(hz * 1.01, db - 3), plot.place(hz * 1.05, db - 10))
    moved = session.document.target.points[2]
    assert moved[0] == pytest.approx(hz * 1.05, rel=0.02) and moved[1] == pytest.approx(db - 10, abs=0.5)
    assert opened.eq.hz.value() == pytest.approx(moved[0], abs=0.1)
    opened.menus.undo.trigger()
    assert session.document.target is None  # one step, whatever the way of the mouse


def test_points_are_added_by_double_click_and_deleted_by_key(opened):
    plot, session = opened.eq.plot, opened.session
    count = len(session.shown_target.points)
    mouse(plot, QEvent.Type.MouseButtonDblClick, plot.place(4000.0, 5.0))
    target = session.document.target
    assert len(target.points) == count + 1
    index = next(iter(session.selected))
    assert target.points[index][0] == pytest.approx(4000, rel=0.02)
    assert target.points[index][1] == pytest.approx(5.0, abs=0.3)
    key(plot, Qt.Key.Key_Delete)
    assert len(session.document.target.points) == count and not session.selected


def test_the_keys_do_what_the_mouse_does(opened):
    plot, session = opened.eq.plot, opened.session
    key(plot, Qt.Key.Key_N)
    assert session.selected == {0}
    key(plot, Qt.Key.Key_N)
    before = session.shown_target.points[1]
    key(plot, Qt.Key.Key_Up)
    key(plot, Qt.Key.Key_Right)
    after = session.document.target.points[1]
    assert after[1] == pytest.approx(before[1] + 0.5) and after[0] > before[0]
    key(plot, Qt.Key.Key_P)
    assert session.selected == {0}


def test_several_points_are_selected_with_a_frame_and_moved_together(opened):
    plot, session = opened.eq.plot, opened.session
    (low, high), (bottom, top) = plot.view()
    drag(plot, plot.place(low * 1.01, top - 0.5), plot.place(300, 0), plot.place(1000, bottom + 0.5))
    inside = {i for i, (hz, _) in enumerate(session.shown_target.points) if hz < 1000}
    assert session.selected == inside and len(inside) > 1
    hz, db = session.shown_target.points[0]
    before = session.shown_target.db
    drag(plot, plot.place(hz, db), plot.place(hz, db - 6))
    change = session.document.target.db - before
    assert np.allclose(change[:len(inside)], -6, atol=0.5) and np.allclose(change[len(inside):], 0)


def test_the_wheel_changes_the_slope_under_it_and_with_control_zooms(opened):
    plot, session = opened.eq.plot, opened.session
    before = session.shown_target
    position = plot.place(5000.0, 0.0)
    wheel(plot, position, 2)
    index = int(np.searchsorted(before.hz, 5000.0)) - 1
    assert session.document.target.slope_after(index) == pytest.approx(before.slope_after(index) + 1.0)
    (low, high), _ = plot.view()
    document = session.document
    wheel(plot, position, 3, Qt.KeyboardModifier.ControlModifier)
    assert math.log(plot.view()[0][1] / plot.view()[0][0]) < 0.8 * math.log(high / low)
    assert session.document is document


def test_a_target_is_drawn_by_hand(opened):
    plot, session = opened.eq.plot, opened.session
    QTest.mouseClick(opened.eq.draw, LEFT)
    drag(plot, *(plot.place(hz, -20.0) for hz in np.geomspace(600, 5000, 40)))
    assert np.allclose(session.document.target.at([700, 2000, 4500]), -20, atol=0.6)
    assert session.history.undo_label == "Draw target"


def test_numbers_are_entered_for_the_selected_point(opened):
    eq, session = opened.eq, opened.session
    key(eq.plot, Qt.Key.Key_N)
    key(eq.plot, Qt.Key.Key_N)
    for box, text in ((eq.hz, "250"), (eq.db, "-4.5")):
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)
        QTest.keyClick(box, Qt.Key.Key_Return)
    assert session.document.target.points[1] == (250.0, -4.5)
    eq.slope.setValue(-2.0)
    assert session.document.target.slope_after(1) == pytest.approx(-2.0, abs=1e-6)


def test_a_curve_is_switched_off_in_the_legend(opened):
    plot, entry = opened.eq.plot, opened.eq.legend["target"]
    assert plot.curves["target"].isVisible()
    QTest.mouseClick(entry, LEFT)
    assert not plot.curves["target"].isVisible() and not plot.points.isVisible()
    assert opened.session.view.hidden == ("target",)
    QTest.mouseClick(entry, LEFT)
    assert plot.curves["target"].isVisible()


def test_curves_are_told_apart_without_their_colours():
    looks = {(style.stroke, style.width) for style in theme.CURVES.values()}
    assert len(looks) == len(theme.CURVES)


# ------------------------------------------------------------------------------------------------ the timeline

def test_a_passage_is_selected_and_both_rows_zoom_together(opened, wait):
    timeline = opened.timeline
    wait(lambda: timeline.upper.image.image is not None)
    row = timeline.upper
    a, b = (QPointF(row.mapFromScene(row.box.mapViewToScene(QPointF(s, 2.0)))) for s in (0.4, 1.0))
    drag(timeline.upper, a, (a + b) / 2, b)
    begin, end = opened.session.view.selection_s
    assert begin == pytest.approx(0.4, abs=0.01) and end == pytest.approx(1.0, abs=0.01)
    assert timeline.upper.region.isVisible() and opened.restore_panel.passage.isEnabled()
    wheel(timeline.lower, a, 3)
    assert timeline.upper.time() == pytest.approx(timeline.lower.time())
    assert timeline.upper.time()[1] - timeline.upper.time()[0] < 0.8
    timeline.fit()
    assert timeline.upper.time() == pytest.approx((0.0, opened.session.recording.duration_s))
    drag(timeline.upper, b, b)  # a click
    assert opened.session.view.selection_s is None and opened.player.position_s == pytest.approx(1.0, abs=0.01)


def test_waveforms_and_spectrograms_are_drawn(opened, wait):
    timeline = opened.timeline
    wait(lambda: timeline.upper.image.image is not None)
    image = timeline.upper.image.image
    assert np.ptp(image) > 60  # dB: it shows something
    opened.activateWindow()
    QTest.keyClick(opened.eq.plot, Qt.Key.Key_W, Qt.KeyboardModifier.ShiftModifier)
    assert timeline.wave.isChecked()
    wait(lambda: timeline.upper.wave.getData()[1] is not None and len(timeline.upper.wave.getData()[1]) > 100)
    peak = np.abs(opened.session.recording.audio).max()
    assert np.abs(timeline.upper.wave.getData()[1]).max() == pytest.approx(peak, abs=1e-4)


# ----------------------------------------------------------------------------------- render, listen, takes, all

def test_from_opening_to_reopening(opened, wait, tmp_path, monkeypatch):
    """Open, edit, restore, compare, cancel another, export, save, reopen."""
    session, panel = opened.session, opened.restore_panel
    assert opened.windowTitle().startswith("notes.flac")
    opened.eq.plot.add_point(3000.0, -8.0)
    QTest.mouseClick(panel.all, LEFT)
    assert session.job is not None and panel.cancel.isVisible() and not panel.all.isVisible()
    shown = []
    session.progressed.connect(lambda state: shown.append((panel.words.text(), panel.bar.value())) if state else None)
    wait(lambda: session.job is None)
    assert any("Step 3 of 3" in words and value == 1000 for words, value in shown)
    assert panel.all.isVisible() and opened.takes.list.count() == 1
    assert len(opened.eq.plot.breakpoints.data) == 5 and opened.eq.plot.curves["restored"].getData()[0] is not None
    wait(lambda: "restored" in session.listening.mixer.names)

    for letter, name in (("B", "restored"), ("A", "original")):
        QTest.keyClick(opened.eq.plot, letter)
        assert session.listening.mixer.name == name and opened.transport.versions[name].isChecked()
    QTest.keyClick(opened.eq.plot, "E")
    wait(lambda: session.listening.mixer.name == "equalized")

    session.set_options("Slow", expert={"steps": 1000})
    QTest.mouseClick(panel.all, LEFT)
    wait(lambda: session.job.state.steps > 0)
    QTest.mouseClick(panel.pause, LEFT)
    assert session.job.paused and panel.pause.text() == "Go on"
    QTest.mouseClick(panel.cancel, LEFT)
    assert session.job is None and panel.all.isVisible() and len(session.document.takes) == 1

    QTest.mouseClick(opened.takes.export, LEFT)
    from babe2_gui.views.dialogs import ExportDialog
    dialog = opened.findChild(ExportDialog)
    dialog.path.setText(str(tmp_path / "out.wav"))
    dialog.depth.setCurrentIndex(dialog.depth.findData("24"))
    dialog.tags["title"].setText("Restored")
    (tmp_path / "out.wav").write_bytes(b"something else")
    answers = ["keep", "replace"]
    monkeypatch.setattr("babe2_gui.views.dialogs.ask", lambda *words: answers.pop(0))
    dialog._export()
    assert dialog.isVisible() and (tmp_path / "out.wav").read_bytes() == b"something else"
    dialog._export()
    wait(lambda: (tmp_path / "out.wav").stat().st_size > 1000)
    wait(lambda: (tmp_path / "out.wav").is_file())
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_24"

    saved = tmp_path / "work.babe2"
    monkeypatch.setattr("babe2_gui.views.files.QFileDialog.getSaveFileName", lambda *args: (str(saved), ""))
    opened.timeline.select((0.2, 0.9))
    document = session.document
    opened.menus.save.trigger()
    wait(lambda: not session.modified)
    assert str(saved) in opened.files.recent()
    session.begin(session.recording)
    session.set_target(None, "Back")
    session.mark_saved()
    opened.files.open(str(saved))
    wait(lambda: session.path == str(saved))
    assert session.document.target == document.target and session.document.options == document.options
    assert session.document.takes[0].name == "Take 1" and session.view.selection_s == (0.2, 0.9)
    assert opened.timeline.upper.region.isVisible() and opened.takes.list.count() == 1


def test_a_take_is_renamed_and_deleted_in_the_list(opened, wait):
    session = opened.session
    session.render()
    wait(lambda: session.job is None)
    opened.tabs.setCurrentWidget(opened.takes)
    opened.takes.list.item(0).setText("Bright")
    assert session.document.take.name == "Bright"
    opened.activateWindow()
    key(opened.takes.list, Qt.Key.Key_Delete)
    assert session.document.takes == () and opened.takes.empty.isVisible()


def test_playing_works_without_a_sound_device_and_says_so_once(opened, wait, monkeypatch):
    from babe2_gui.views.output import Player
    monkeypatch.setattr(Player, "has_device", False)
    said = []
    opened.player.failed.connect(said.append)
    QTest.keyClick(opened.eq.plot, Qt.Key.Key_Space)
    assert opened.player.playing
    wait(lambda: opened.player.position_s > 0.2)
    assert opened.player.levels_db.max() > -60 and opened.transport.meter.highest > -60
    QTest.keyClick(opened.eq.plot, Qt.Key.Key_Space)
    assert not opened.player.playing
    opened.player.play()
    opened.player.stop()
    assert len(said) == 1 and "no sound device" in said[0]


def test_the_selection_is_looped(opened, wait, monkeypatch):
    from babe2_gui.views.output import Player
    monkeypatch.setattr(Player, "has_device", False)
    opened.timeline.select((0.3, 0.45))
    QTest.keyClick(opened.eq.plot, "L")
    rate = opened.session.recording.sample_rate
    assert opened.session.listening.mixer.loop == (round(0.3 * rate), round(0.45 * rate))
    opened.player.play()
    wait(at_most_s=0.4)
    assert 0.3 <= opened.player.position_s <= 0.45 and opened.player.playing


def test_the_plain_stream_gives_a_device_what_the_mixer_has(opened):
    """What a sound device would read: stereo floats from a mono mixer, at its own rate or another."""
    multimedia = pytest.importorskip("PySide6.QtMultimedia", reason="needs sound libraries", exc_type=ImportError)
    QAudioFormat = multimedia.QAudioFormat

    from babe2_gui.views.output import _Stream
    mixer = opened.session.listening.mixer
    wanted = QAudioFormat()
    wanted.setChannelCount(2)
    wanted.setSampleFormat(QAudioFormat.SampleFormat.Float)
    wanted.setSampleRate(mixer.sample_rate)
    mixer.seek(1000)
    data = np.frombuffer(_Stream(opened.player, wanted, mixer).readData(8 * 500), "<f4").reshape(-1, 2)
    original = opened.session.recording.audio[0, 1000:1500]
    assert np.array_equal(data[:, 0], original) and np.array_equal(data[:, 1], original)
    wanted.setSampleRate(48000)
    wanted.setSampleFormat(QAudioFormat.SampleFormat.Int16)
    mixer.seek(0)
    data = _Stream(opened.player, wanted, mixer).readData(4 * 4800)
    assert len(data) == 4 * 4800 and np.abs(np.frombuffer(data, "<i2")).max() > 1000


# ------------------------------------------------------------------------------------------------------ chain

def test_effects_are_added_changed_moved_and_undone(opened):
    chain, session = opened.chain, opened.session
    opened.tabs.setCurrentWidget(chain)
    chain.add_effect("before", "HighpassFilter")
    chain.add_effect("after", "Gain")
    form = chain.scroll.widget()
    form.editors["gain_db"].setValue(-4.0)
    assert session.document.after[0].values["gain_db"] == -4.0
    assert chain.scroll.widget() is form  # not made anew under the user's hand
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


# ---------------------------------------------------------------------------------------------- manners, files

def test_whoever_makes_the_window_needs_no_import_before_it():
    """Its threads import PyTorch at once otherwise, and wait for each other."""
    code = "import babe2_gui.main_window, sys; sys.exit('babe2_fx.effect' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_presets_and_their_cards(opened, wait):
    panel = opened.restore_panel
    assert panel.preset.currentData() == "piano" and panel.preset.count() > 1
    QTest.mouseClick(panel.card, LEFT)
    from babe2_gui.views.dialogs import CardDialog
    card = opened.findChild(CardDialog)
    from PySide6.QtWidgets import QTextBrowser
    assert "Salamander" in card.findChild(QTextBrowser).toPlainText()
    card.close()


def test_a_model_that_is_missing_is_installed(opened, wait, monkeypatch):
    asked = []

    def pull(name, force, report):
        asked.append(name)
        report(50, 100)
        raise ValueError("The server did not answer. Try again later.")
    monkeypatch.setattr("babe2_gui.model.session.pull", pull)
    panel = opened.restore_panel
    opened.session.set_options("Another preset", preset="tenor-caruso", expert={})
    assert panel.install.isVisible() and "not installed" in panel.state.text()
    QTest.mouseClick(panel.install, LEFT)
    wait(opened.banner.isVisible)
    assert asked == ["tenor-caruso"] and "did not answer" in opened.banner.text.text()
    assert panel.install.isEnabled() and panel.install.text() == "Install"


def test_what_cannot_be_opened_is_a_sentence(window, wait, tmp_path):
    bad = tmp_path / "bad.flac"
    bad.write_bytes(b"no audio")
    window.files.open(str(bad))
    wait(lambda: window.banner.isVisible())
    assert "bad.flac" in window.banner.text.text() and window.banner.text.text().endswith(".")
    QTest.keyClick(window.eq.plot, Qt.Key.Key_Escape)
    assert not window.banner.isVisible()


def test_a_dropped_file_is_opened(window, wait, recording_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(recording_path))])
    window.dropEvent(QDropEvent(QPointF(100, 100), Qt.DropAction.CopyAction, data, LEFT, NONE))
    wait(lambda: window.session.recording is not None)
    assert window.session.recording.path == recording_path


def test_unsaved_work_is_asked_about(opened, monkeypatch, recording_path):
    opened.session.change_target(lambda curve: curve.shifted(1.0), "Shift")
    asked = []
    monkeypatch.setattr("babe2_gui.views.files.ask", lambda *words: asked.append(words) or "cancel")
    assert not opened.close() and opened.isVisible()
    opened.files.open(str(recording_path))
    assert len(asked) == 2 and "not saved" in asked[0][1] and not opened.session.loading


def test_lost_work_is_offered_again(opened, app, prior, tmp_path, wait):
    from PySide6.QtCore import QSettings

    from babe2_gui.main_window import MainWindow
    opened.session.change_target(lambda curve: curve.shifted(4.0), "Shift")
    opened.autosave.save()
    wait(lambda: opened.autosave.path.is_file())
    assert opened.autosave.orphans() == []
    opened.autosave._lock.unlock()  # as when the process has ended
    settings = QSettings(str(tmp_path / "other.ini"), QSettings.Format.IniFormat)
    other = MainWindow(prior, settings, tmp_path / "state")
    other.show()
    other.greet()
    assert other.banner.isVisible() and other.banner.action.text() == "Open that work"
    QTest.mouseClick(other.banner.action, LEFT)
    wait(lambda: other.session.recording is not None)
    assert other.session.document.target == opened.session.document.target and other.session.modified
    assert not opened.autosave.path.exists()
    other.session.mark_saved()
    other.close()


def test_the_tour_has_four_steps_and_comes_once(app, prior, tmp_path, wait):
    from PySide6.QtCore import QSettings

    from babe2_gui.main_window import MainWindow
    from babe2_gui.views.tour import Tour
    settings = QSettings(str(tmp_path / "first.ini"), QSettings.Format.IniFormat)
    made = MainWindow(prior, settings, tmp_path / "state")
    made.show()
    made.greet()
    wait(lambda: made.findChild(Tour) is not None)
    tour = made.findChild(Tour)
    for _ in range(4):
        assert tour.frame.geometry().intersected(tour.rect()) == tour.frame.geometry()  # all of it is seen
        QTest.mouseClick(tour.next, LEFT)
    assert settings.value("tour_done", False, bool)
    made.close()


def test_the_layout_is_remembered(app, prior, tmp_path, wait):
    from PySide6.QtCore import QSettings

    from babe2_gui.main_window import MainWindow
    settings = QSettings(str(tmp_path / "layout.ini"), QSettings.Format.IniFormat)
    settings.setValue("tour_done", True)
    first = MainWindow(prior, settings, tmp_path / "state")
    first.show()
    wait()
    first.views.setSizes([300, 400])
    upper, lower = first.views.sizes()
    first.close()
    second = MainWindow(prior, settings, tmp_path / "state")
    second.show()
    wait()
    again = second.views.sizes()
    assert again[0] / again[1] == pytest.approx(upper / lower, rel=0.02)
    second.close()


def test_all_that_is_operated_has_a_name_and_a_tip(opened):
    nameless = [widget for kind in (QAbstractButton, QComboBox, QAbstractSpinBox, QSlider)
                for widget in opened.findChildren(kind)
                if not widget.objectName().startswith("qt_") and not widget.accessibleName() and widget.isEnabled()
                and type(widget).__name__ not in ("QToolButton",)]
    assert nameless == []
    tipless = [widget for widget in opened.findChildren(QAbstractButton)
               if widget.accessibleName() and not widget.toolTip() and "Scroll" not in widget.objectName()]
    assert tipless == []


def test_no_two_actions_share_a_key(opened):
    keys = [key.toString() for action in opened.actions() for key in action.shortcuts()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("size", [(1160, 640), (1280, 800), (1920, 1080)])
def test_no_text_is_cut_off(opened, wait, size):
    """Every visible button and label has the room that its text needs."""
    from PySide6.QtWidgets import QLabel
    opened.resize(*size)
    for index in range(opened.tabs.count()):
        opened.tabs.setCurrentIndex(index)
        wait()
        for widget in opened.findChildren(QAbstractButton):
            if widget.isVisible() and widget.text() and not widget.text().startswith("&"):
                assert widget.width() >= widget.minimumSizeHint().width(), widget.text()
        for widget in opened.findChildren(QLabel):
            if widget.isVisible() and widget.text() and not widget.wordWrap() and "<" not in widget.text():
                assert widget.width() >= widget.fontMetrics().horizontalAdvance(widget.text()), widget.text()


def test_the_real_preset_through_the_window(app, wait, shared, tmp_path):
    """The embedded piano model restores a passage of a real recording, started with the mouse."""
    from PySide6.QtCore import QSettings

    from babe2_gui.main_window import MainWindow
    settings = QSettings(str(tmp_path / "real.ini"), QSettings.Format.IniFormat)
    settings.setValue("tour_done", True)
    made = MainWindow(None, settings, tmp_path / "state")
    made.show()
    made.greet(str(shared / "audio" / "piano_ragtime_degraded.flac"))
    session = made.session
    wait(lambda: session.input_spectrum is not None and session.preset_target is not None)
    session.set_options("Draft", quality="draft", expert={"steps": 2})
    made.timeline.select((3.0, 4.4))
    QTest.mouseClick(made.restore_panel.passage, LEFT)
    wait(lambda: session.job is None, 300)
    take = session.document.take
    assert take is not None, made.banner.text.text()
    rate = session.recording.sample_rate
    assert take.start == 3 * rate and take.samples == pytest.approx(1.4 * rate, abs=2)

    def highs(audio):
        power = np.abs(np.fft.rfft(audio[0])) ** 2
        hz = np.fft.rfftfreq(audio.shape[1], 1 / rate)
        return 10 * np.log10(power[(hz > 4000) & (hz < 8000)].sum() / power[(hz > 300) & (hz < 2000)].sum())
    assert highs(take.audio) > highs(session.recording.audio[:, take.start:][:, :take.samples]) + 3
    session.mark_saved()
    made.close()
