"""The batch queue's window without a screen: files are dropped, run, cancelled and opened as a user does it."""

import numpy as np
import pytest
import soundfile

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import QMimeData, QModelIndex, QPoint, QPointF, Qt, QUrl  # noqa: E402
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel  # noqa: E402

from babe2_gui.views.batch_table import COLUMNS, STATE  # noqa: E402
from babe2_host.states import JobState  # noqa: E402

LEFT, NONE, MOVE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.DropAction.MoveAction


def drop(widget, *paths):
    """Drops files from another program that would rather move them; what is accepted."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(QPointF(20, 60), MOVE | Qt.DropAction.CopyAction, data, LEFT, NONE)
    event.setDropAction(MOVE)
    widget.dropEvent(event)
    return event.dropAction()


def states(batch):
    return [entry.state for entry in batch.queue.entries]


def shown(batch, column=STATE):
    """What the rows say."""
    return [batch.model.index(at, column).data() for at in range(batch.model.rowCount())]


def press(batch, key, modifiers=NONE):
    batch.activateWindow()
    batch.table.setFocus()
    QApplication.processEvents()
    QTest.keyClick(batch.table, key, modifiers)


def double_click(batch, at):
    place = batch.table.visualRect(batch.model.index(at, 0)).center()
    QTest.mouseClick(batch.table.viewport(), LEFT, NONE, place)
    QTest.mouseDClick(batch.table.viewport(), LEFT, NONE, place)


@pytest.fixture
def batch(shelf, window, wait):
    """The shown window, with the shelf's files dropped on it."""
    window.show_batch()
    made = window.batch
    made.queue.set_options(preset="tiny", quality="draft")
    assert drop(made.table, shelf) == Qt.DropAction.CopyAction  # or the other program would delete them
    wait(lambda: made.model.rowCount() == 3)
    yield made
    made.queue.cancel()


@pytest.fixture
def slow(batch):
    """The same, with so many steps that it is at work until it is cancelled."""
    preset = batch.queue.options.preset
    from babe2_fx.catalogue.presets import load_preset
    file = load_preset(preset).file
    file.write_text(file.read_text().replace("steps = 2", "steps = 1000"))
    return batch


def test_dropped_files_are_rendered_row_by_row_and_a_bad_one_fails_alone(batch, shelf, wait, tmp_path):
    (shelf / "b.flac").write_bytes(b"no audio")
    assert shown(batch, 0) == ["a.wav", "b.flac", "c.wav"] and shown(batch) == ["Waiting"] * 3
    assert batch.words.text() == "3 files, 0:01 of music"
    seen = []
    batch.model.dataChanged.connect(lambda first, last: seen.append((first.row(), shown(batch)[first.row()])))
    QTest.mouseClick(batch.start, LEFT)
    assert batch.cancel.isVisible() and not batch.start.isEnabled() and not batch.form.how.isEnabled()
    wait(lambda: not batch.queue.running)
    assert states(batch) == [JobState.DONE, JobState.FAILED, JobState.DONE] and shown(batch)[0] == "Done"
    assert any(row == 2 and "Step 1 of 2" in words for row, words in seen)
    assert batch.bar.value() == 1000 and batch.words.text() == "3 files: 2 done, 1 failed."
    text = batch.details.toPlainText()  # the failure is selected by itself
    assert "b.flac is not an audio file" in text and text.endswith(".")
    assert "2 done, 1 failed" in batch.banner.text.text()
    assert soundfile.info(tmp_path / "restored" / "disc" / "more" / "c.wav").frames == 8820
    assert batch.start.isEnabled() and not batch.cancel.isVisible()


def test_cancel_keeps_what_is_done_and_start_goes_on(batch, wait, tmp_path):
    QTest.mouseClick(batch.start, LEFT)
    wait(lambda: states(batch)[0] == JobState.DONE)
    QTest.mouseClick(batch.cancel, LEFT)
    assert not batch.queue.running and "Start goes on from there" in batch.words.text()
    made = tmp_path / "restored" / "disc" / "a.wav"
    before = made.stat().st_mtime_ns
    QTest.mouseClick(batch.start, LEFT)
    wait(lambda: not batch.queue.running)
    assert states(batch)[0] == JobState.AS_BEFORE and set(states(batch)) <= {JobState.AS_BEFORE, JobState.DONE}
    assert made.stat().st_mtime_ns == before and shown(batch)[0] == "As before"


def test_a_double_click_opens_the_result_in_the_main_window(batch, window, wait, tmp_path):
    batch.queue.remove([1, 2])
    double_click(batch, 0)
    assert "a.wav is not done" in batch.banner.text.text() and window.session.recording is None
    QTest.mouseClick(batch.start, LEFT)
    wait(lambda: not batch.queue.running)
    double_click(batch, 0)
    wait(lambda: window.session.recording is not None)
    assert window.session.recording.path == tmp_path / "restored" / "disc" / "a.wav"
    (tmp_path / "restored" / "disc" / "a.wav").unlink()
    press(batch, Qt.Key.Key_Return)
    assert "is no longer there" in batch.banner.text.text()


def test_it_runs_on_when_the_window_is_closed(batch, window, shelf, wait):
    (shelf / "b.flac").write_bytes(b"no audio")
    QTest.mouseClick(batch.start, LEFT)
    wait(lambda: JobState.RUNNING in states(batch))
    press(batch, Qt.Key.Key_Escape)
    assert not batch.isVisible() and batch.queue.running
    assert window.batch_entry.isVisible() and "of 3 files finished" in window.batch_entry.text()
    wait(lambda: not batch.queue.running)
    assert states(batch) == [JobState.DONE, JobState.FAILED, JobState.DONE] and not window.batch_entry.isVisible()
    assert window.banner.isVisible() and "1 failed" in window.banner.text.text()
    QTest.mouseClick(window.banner.action, LEFT)
    assert batch.isVisible()


def test_the_status_entry_brings_the_window_back(slow, window, wait):
    slow.start_batch()
    slow.close()
    assert slow.queue.running
    QTest.mouseClick(window.batch_entry, LEFT)
    assert slow.isVisible()


def test_quitting_asks_while_it_runs(slow, window, wait, monkeypatch):
    slow.start_batch()
    wait(lambda: JobState.RUNNING in states(slow))
    asked, answers = [], ["stay", "cancel"]
    monkeypatch.setattr("babe2_gui.main_window.ask", lambda *words: asked.append(words[1]) or answers.pop(0))
    assert not window.close() and window.isVisible() and slow.queue.running
    assert window.close() and not slow.queue.running and asked == ["A batch is running."] * 2


def test_a_restoration_in_the_main_window_comes_first(batch, opened, wait):
    """Both are done in the end, and the batch does nothing while the other is at work."""
    session = opened.session
    QTest.mouseClick(batch.start, LEFT)
    wait(lambda: JobState.RUNNING in states(batch))
    assert session.render() and batch.queue.resting
    assert "waits while the main window restores" in batch.words.text()
    session.pause()
    assert not batch.queue.resting  # a paused one needs nothing
    session.pause(False)
    assert batch.queue.resting
    wait(lambda: session.job is None)
    assert session.document.take is not None and not batch.queue.resting
    wait(lambda: not batch.queue.running)
    assert states(batch) == [JobState.DONE] * 3
    session.mark_saved()


def test_rows_are_moved_and_removed_by_key_and_by_drag(batch):
    batch._select([0])
    press(batch, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert shown(batch, 0) == ["b.flac", "a.wav", "c.wav"] and batch.selected_rows() == [1]
    data = batch.model.mimeData([batch.model.index(2, column) for column in range(len(COLUMNS))])
    assert batch.model.dropMimeData(data, MOVE, 0, 0, QModelIndex())
    assert shown(batch, 0) == ["c.wav", "b.flac", "a.wav"] and batch.selected_rows() == [2]  # still a.wav
    QTest.mouseClick(batch.up, LEFT)
    assert shown(batch, 0) == ["c.wav", "a.wav", "b.flac"]
    press(batch, Qt.Key.Key_Delete)
    assert shown(batch, 0) == ["c.wav", "b.flac"] and batch.selected_rows() == [1]


def test_everything_can_be_done_with_keys(batch, wait, monkeypatch, tmp_path):
    soundfile.write(tmp_path / "d.wav", np.zeros(4000), 22050)
    monkeypatch.setattr("babe2_gui.views.batch_window.QFileDialog.getOpenFileNames",
                        lambda *args: ([str(tmp_path / "d.wav")], ""))
    press(batch, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    wait(lambda: batch.model.rowCount() == 4)
    batch._select([0, 1, 3])
    press(batch, Qt.Key.Key_Delete)
    press(batch, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert batch.queue.running
    wait(lambda: not batch.queue.running)
    assert states(batch) == [JobState.DONE]
    press(batch, Qt.Key.Key_Escape)  # the message goes first
    assert batch.isVisible() and not batch.banner.isVisible()
    press(batch, Qt.Key.Key_Escape)
    assert not batch.isVisible()


def test_a_board_brings_its_own_settings_and_a_preset_has_usual_ones(batch):
    def choose(kind, name):
        how = batch.form.how
        how.setCurrentIndex([how.itemData(at) for at in range(how.count())].index((kind, name)))
        batch.form._how_chosen()
    choose("board", "piano-78")
    options = batch.queue.options
    assert (options.preset, options.board, options.quality, options.seed) == (None, "piano-78", None, None)
    assert batch.form.quality.currentText() == batch.form.seed.text() == "As the board says"
    assert batch.form.target.currentText() == "The board's own"
    choose("preset", "piano")
    options = batch.queue.options
    assert (options.preset, options.board, options.quality, options.seed) == ("piano", None, "standard", 0)
    assert batch.form.seed.text() == "0"


def test_a_board_that_names_programs_is_refused_with_a_way_out(batch, tmp_path):
    board = tmp_path / "board.toml"
    board.write_text('format = "babe2-board-1"\n[[plugins]]\nplugin = "VST3Plugin"\npath = "x.vst3"\n')
    batch.form._use_board(str(board))
    assert batch.queue.options.board is None and batch.form.how.currentText() == "Tiny"
    assert "babe2 batch, with --board and --allow-external" in batch.banner.text.text()
    board.write_text('format = "babe2-board-1"\n[[plugins]]\nplugin = "Gain"\n')
    batch.form._use_board(str(board))
    assert batch.queue.options.board == str(board) and batch.form.how.currentText() == "Board board.toml"


def test_the_target_of_the_main_window_can_be_chosen_once_there_is_one(batch, window, wait, tmp_path):
    drawn = batch.form.target.findData("drawn")
    assert not batch.form.target.model().item(drawn).isEnabled()
    window.session.change_target(lambda curve: curve.shifted(-3.0), "Shift")
    assert batch.form.target.model().item(drawn).isEnabled()
    batch.form.target.setCurrentIndex(drawn)
    batch.form._target_chosen()
    batch.queue.remove([1, 2])
    batch.start_batch()
    wait(lambda: not batch.queue.running)
    assert states(batch) == [JobState.DONE] and len(list((tmp_path / "restored").glob("target-*.csv"))) == 1
    window.session.mark_saved()


def test_files_dragged_over_it_are_to_be_copied(batch, shelf):
    """Some programs go by what is answered while they drag, and delete what was moved."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(shelf / "a.wav"))])
    for widget in (batch, batch.table):
        for kind in (QDragEnterEvent, QDragMoveEvent):
            event = kind(QPoint(20, 60), MOVE | Qt.DropAction.CopyAction, data, LEFT, NONE)
            event.setDropAction(MOVE)
            getattr(widget, "dragEnterEvent" if kind is QDragEnterEvent else "dragMoveEvent")(event)
        assert event.isAccepted() and event.dropAction() == Qt.DropAction.CopyAction


def test_folders_and_several_files_dropped_on_the_main_window_lead_here(shelf, window, wait):
    assert drop(window, shelf / "a.wav", shelf / "b.flac") == Qt.DropAction.CopyAction
    assert window.banner.action.text() == "Batch of all…"
    QTest.mouseClick(window.banner.action, LEFT)
    wait(lambda: window.batch.model.rowCount() == 2)
    drop(window, shelf / "more")
    wait(lambda: window.batch.model.rowCount() == 3)
    assert window.batch.isVisible() and shown(window.batch, 0)[2] == "c.wav"


def test_files_dropped_while_it_runs_are_refused_with_a_sentence(slow, shelf):
    slow.start_batch()
    drop(slow, shelf)
    assert "The batch is running" in slow.banner.text.text() and slow.model.rowCount() == 3


@pytest.mark.parametrize("size", [(860, 560), (1040, 640), (1280, 800), (3840, 2160)])
def test_no_text_is_cut_off_and_all_has_a_name(slow, wait, size):
    slow.resize(*size)
    for run in (False, True):
        if run:
            slow.start_batch()
            wait(lambda: JobState.RUNNING in states(slow))
        wait()
        for widget in slow.findChildren(QAbstractButton):
            if widget.isVisible():
                assert widget.accessibleName() and widget.toolTip(), widget
                assert widget.width() >= widget.minimumSizeHint().width(), widget.text()
        for widget in slow.findChildren(QLabel):
            if widget.isVisible() and widget.text() and not widget.wordWrap():
                assert widget.width() >= widget.fontMetrics().horizontalAdvance(widget.text()), widget.text()
        assert all(editor.accessibleName() and editor.toolTip() for editor in slow.form.editors)


def test_the_real_preset_through_a_list(batch, wait, shared, tmp_path):
    """The embedded piano model restores a real recording's passage as a list asks for it."""
    audio, rate = soundfile.read(shared / "audio" / "piano_ragtime_degraded.flac", start=3 * 44100, frames=50000)
    soundfile.write(tmp_path / "real.flac", audio, rate)
    (tmp_path / "list.csv").write_text("file,preset,steps,order,quality\nreal.flac,piano,2,1,draft\n")
    batch.queue.remove([0, 1, 2])
    drop(batch, tmp_path / "list.csv")
    wait(lambda: batch.model.rowCount() == 1)
    batch.start_batch()
    wait(lambda: not batch.queue.running, 300)
    assert states(batch) == [JobState.DONE], batch.details.toPlainText()
    made, made_rate = soundfile.read(tmp_path / "restored" / "real.flac")
    assert made_rate == rate and len(made) == len(audio)

    def highs(signal):
        power = np.abs(np.fft.rfft(signal.reshape(len(signal), -1)[:, 0])) ** 2
        hz = np.fft.rfftfreq(len(signal), 1 / rate)
        return 10 * np.log10(power[(hz > 4000) & (hz < 8000)].sum() / power[(hz > 300) & (hz < 2000)].sum())
    assert highs(made) > highs(audio) + 3
