"""The real window without a screen: files, renders and takes from opening to reopening, and its manners."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl  # noqa: E402
from PySide6.QtGui import QDropEvent  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QSlider  # noqa: E402

from hands import LEFT, NONE, key  # noqa: E402


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
    assert len(opened.eq.plot.learned.breakpoints.data) == 5
    assert opened.eq.plot.curves["restored"].getData()[0] is not None
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
