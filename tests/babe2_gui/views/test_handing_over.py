"""Recordings dropped on the window from other programs, and takes that are handed to them as files."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_fx.files import FileError
from babe2_gui.model.handing_out import hand_out
from babe2_host.audio.chunks import Chunk, Extras
from babe2_host.audio.recording import read_recording
from babe2_host.audio.writing import write_audio

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl  # noqa: E402
from PySide6.QtGui import QDrag, QDragEnterEvent, QDragMoveEvent, QDropEvent  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget  # noqa: E402

LEFT, NONE, COPY, MOVE = (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction,
                          Qt.DropAction.MoveAction)
BEXT = bytes(338) + (5000).to_bytes(8, "little") + bytes(256)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Folders of files that stay and of temporary ones; the user's music lies in another."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("platformdirs.user_music_path", lambda: tmp_path / "music")


@pytest.fixture(autouse=True)
def clipboard(app):
    """Empty at the beginning; and at the end, for the platform without a screen cannot end with one that is not."""
    QApplication.clipboard().clear()
    yield
    QApplication.clipboard().clear()


@pytest.fixture
def recording(tmp_path, make_notes):
    """Two seconds of a broadcast wave in stereo, 24 bits, as read."""
    path = tmp_path / "caruso.wav"
    soundfile.write(path, make_notes(22050, 1.4, channels=2).T, 22050, "PCM_24")
    like = read_recording(path)
    write_audio(tmp_path / "aria.wav", like.audio, 22050, replace(like, extras=Extras((Chunk("bext", BEXT),))))
    return read_recording(tmp_path / "aria.wav")


# --------------------------------------------------------------------------------------- what is written

def test_a_whole_take_lies_on_the_recording_to_the_sample(recording):
    path, said = hand_out(recording.audio * np.float32(0.5), 0, recording)
    made = read_recording(path)
    assert path == recording.path.with_name("aria (restored).wav") and said == [f"Wrote {path}."]
    assert (made.audio.shape, made.sample_rate, made.subtype) == (recording.audio.shape, 22050, "PCM_24")
    assert np.abs(made.audio - recording.audio * 0.5).max() < 2.0 ** -22  # two of its 24 bits: dither
    assert made.extras.chunks == recording.extras.chunks


def test_a_passage_says_where_it_begins_in_its_name_and_its_time_stamp(recording):
    path, _ = hand_out(recording.audio[:, 11025:22050], 11025, recording)
    made = read_recording(path)
    assert path.name == "aria (restored from 0.500 s).wav"
    assert int.from_bytes(made.extras.chunks[0].content[338:346], "little") == 5000 + 11025
    assert np.array_equal(made.audio, recording.audio[:, 11025:22050])


def test_nothing_is_replaced(recording):
    taken = recording.path.with_name("aria (restored).wav")
    taken.write_bytes(b"the user's")
    first, second = (hand_out(recording.audio, 0, recording)[0] for _ in range(2))
    assert taken.read_bytes() == b"the user's"
    assert [first.name, second.name] == ["aria (restored 2).wav", "aria (restored 3).wav"]


def test_of_a_temporary_recording_the_take_is_kept_with_the_music(recording, tmp_path):
    clip = tmp_path / "temporary" / "render-001.wav"
    recording.path.rename(clip)
    path, said = hand_out(recording.audio, 0, read_recording(clip))
    assert path == tmp_path / "music" / "BABE-2" / "render-001 (restored).wav" and path.is_file()
    assert said == [f"Wrote {path}.", "It is there because the recording's folder is one for temporary files."]


def test_where_no_folder_can_be_written_to_the_sentence_says_so(recording, tmp_path, monkeypatch):
    (tmp_path / "music").write_text("a file")
    gone = replace(recording, path=tmp_path / "archive" / "aria.wav")  # a disk that was taken away
    with pytest.raises(FileError, match="archive, cannot be written to, and neither can .*music") as raised:
        hand_out(recording.audio, 0, gone)
    assert str(raised.value).endswith("Export it to another folder.")


def test_what_cannot_be_written_leaves_nothing_behind(recording):
    before = set(recording.path.parent.iterdir())
    with pytest.raises(ValueError, match="not finite"):
        hand_out(np.full((2, 30870), np.nan, np.float32), 0, recording)
    assert set(recording.path.parent.iterdir()) == before


# -------------------------------------------------------------------------------------------- dragging out

@pytest.fixture
def drags(monkeypatch):
    """The drags that were begun, in the place of the system's: (path, whether it was whole, actions)."""
    begun = []

    def begin(self, *actions):
        data = self.mimeData()
        path = Path(data.urls()[0].toLocalFile())
        assert data.hasFormat("text/uri-list")
        begun.append((path, soundfile.info(path).frames, actions))
        return COPY
    monkeypatch.setattr(QDrag, "exec", begin)
    return begun


@pytest.fixture
def taken(opened, wait):
    """The window with two takes, the passage from 0.4 to 1 s and the whole recording, which is current."""
    opened.timeline.select((0.4, 1.0))
    for passage_only in (True, False):
        opened.session.render(passage_only)
        wait(lambda: opened.session.job is None)
    opened.session.mark_saved()
    opened.tabs.setCurrentIndex(1)
    wait()
    return opened


def pull(widget, start, wait, until):
    """Presses, moves, and goes on moving until something has happened."""
    QTest.mousePress(widget, LEFT, NONE, start)
    steps = iter(range(10 ** 6))

    def further():
        QTest.mouseMove(widget, start + QPoint(40 + next(steps) % 2, -30))
        return until()
    wait(further)
    QTest.mouseRelease(widget, LEFT, NONE, start)


def assert_holds(path, audio):
    """The file is the audio to two of its 24 bits (dither), lowered where its peaks would not fit."""
    gain = min(1.0, (1 - 2.0 ** -22) / np.abs(audio).max())
    assert np.abs(soundfile.read(path, dtype="float32", always_2d=True)[0].T - audio * gain).max() < 2.0 ** -21


def files(window):
    return sorted(path.name for path in Path(window.session.recording.path).parent.glob("*(restored*"))


def test_a_take_is_dragged_from_the_grip_once_it_is_whole_and_written_once(taken, drags, wait):
    grip, take = taken.takes.grip, taken.session.document.take
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 1)
    path, frames, actions = drags[0]
    assert actions == (COPY,)  # or the DAW could take the file away
    assert path.name == "notes (restored).wav" and frames == take.samples
    assert_holds(path, take.audio)
    assert (soundfile.info(path).samplerate, soundfile.info(path).subtype) == (44100, "PCM_24")
    assert not grip.isDown() and str(path) in taken.statusBar().currentMessage()
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 2)
    assert drags[1][0] == path and files(taken) == ["notes (restored).wav"]
    assert not QApplication.clipboard().text()  # a drag is no click


def test_a_row_is_dragged_and_it_is_that_take(taken, drags, wait):
    rows = taken.takes.list
    place = rows.visualItemRect(rows.item(0)).center()
    pull(rows.viewport(), place, wait, lambda: drags)
    passage = taken.session.document.takes[0]
    assert taken.session.document.take is passage and taken.takes.list.count() == 2
    path, frames, _ = drags[0]
    assert path.name == "notes (restored from 0.400 s).wav" and frames == passage.samples
    assert_holds(path, passage.audio)
    pull(rows.viewport(), QPoint(place.x(), rows.viewport().height() - 3), wait, lambda: True)  # below the rows
    assert len(drags) == 1


def test_while_the_file_is_written_the_window_works_and_a_drag_that_was_let_go_is_begun_anew(
        taken, drags, wait, monkeypatch):
    go_on, grip = threading.Event(), taken.takes.grip
    monkeypatch.setattr("babe2_gui.views.handing_over.hand_out", lambda *args: go_on.wait(60) and hand_out(*args))
    pull(grip, grip.rect().center(), wait, lambda: taken.hand_over.writing)
    assert "Writing" in grip.text() and not drags
    taken.eq.plot.add_point(3000.0, -8.0)
    assert taken.session.document.target is not None
    go_on.set()
    wait(lambda: not taken.hand_over.writing)
    assert "Drag" in grip.text() and not drags
    taken.session.mark_saved()
    pull(grip, grip.rect().center(), wait, lambda: drags)
    assert files(taken) == ["notes (restored).wav"]


def test_the_chain_behind_is_in_the_file_and_another_chain_makes_another(taken, drags, wait):
    grip = taken.takes.grip
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 1)
    taken.chain.add_effect("after", "Invert")
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 2)
    plain, inverted = (soundfile.read(path, dtype="float32")[0] for path, *_ in drags)
    assert np.abs(plain + inverted).max() < 2.0 ** -21 and np.abs(plain).max() > 0.01
    taken.session.undo()
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 3)
    assert drags[2][0] == drags[0][0]
    taken.session.mark_saved()


def test_a_file_that_was_changed_or_deleted_is_not_handed_out_again(taken, drags, wait):
    grip = taken.takes.grip
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 1)
    first = drags[0][0]
    soundfile.write(first, np.zeros(100), 22050)
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 2)
    assert drags[1][0].name == "notes (restored 2).wav" and soundfile.info(first).frames == 100
    drags[1][0].unlink()
    pull(grip, grip.rect().center(), wait, lambda: len(drags) == 3)
    assert drags[2][1] == taken.session.document.take.samples


def test_a_reopened_session_knows_the_files_of_its_takes(taken, drags, wait, tmp_path, app, prior):
    from babe2_gui.views.handing_over import HandOver
    grip = taken.takes.grip
    pull(grip, grip.rect().center(), wait, lambda: drags)
    assert HandOver(taken.session, taken.settings).path == str(drags[0][0])
    taken.settings.setValue("handed_over", "no JSON")
    assert HandOver(taken.session, taken.settings).path is None


def test_the_take_is_copied_by_key_and_by_a_click_for_those_who_do_not_drag(taken, wait):
    taken.activateWindow()
    QTest.keyClick(taken.eq.plot, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    data = QApplication.clipboard().mimeData
    wait(QApplication.clipboard().text)
    path = Path(taken.session.recording.path).with_name("notes (restored).wav")
    assert data().urls() == [QUrl.fromLocalFile(str(path))] and data().text() == str(path)
    assert f"Copied {path}" in taken.statusBar().currentMessage()
    QApplication.clipboard().clear()
    QTest.mouseClick(taken.takes.grip, LEFT)
    assert data().text() == str(path) and files(taken) == ["notes (restored).wav"]


def test_without_a_take_there_is_a_sentence_and_no_file(opened):
    assert not opened.menus.copy.isEnabled() and not opened.takes.grip.isVisible()
    opened.hand_over.copy()
    assert "restore the recording first" in opened.statusBar().currentMessage() and files(opened) == []


def test_what_cannot_be_written_is_said_once_a_drag(taken, drags, wait, tmp_path, monkeypatch):
    (tmp_path / "music").write_text("a file")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said, grip = [], taken.takes.grip
    taken.session.reported.connect(lambda *words: said.append(words))
    pull(grip, grip.rect().center(), wait, lambda: said)
    wait()
    assert len(said) == 1 and said[0][1] and taken.banner.isVisible() and not drags


def test_the_take_that_was_just_chosen_is_exported_not_the_one_before(taken, wait, tmp_path):
    passage = taken.session.document.takes[0]
    taken.session.listening._ready.clear()  # as after reopening: nothing of it has been heard
    taken.session.choose_take(passage.id)
    taken.session.export(str(tmp_path / "out.wav"), "float", {})
    wait(lambda: (tmp_path / "out.wav").is_file())
    assert np.array_equal(soundfile.read(tmp_path / "out.wav", dtype="float32")[0], passage.audio[0])


# ------------------------------------------------------------------------------------------- dropping in

def dropped(window, data):
    """Drops what another program brings, as the system does it: on what lies under the mouse. The action it gets."""
    def event(kind, place):
        made = kind(place, COPY | MOVE, data, LEFT, NONE)
        made.setDropAction(MOVE)
        return made
    enter = event(QDragEnterEvent, QPoint(100, 100))
    QApplication.sendEvent(window, enter)
    if not enter.isAccepted():
        return None
    move = event(QDragMoveEvent, QPoint(100, 100))
    QApplication.sendEvent(window, move)
    assert move.isAccepted() and (enter.dropAction(), move.dropAction()) == (COPY, COPY)  # some go by these
    drop = event(QDropEvent, QPointF(100, 100))
    window.dropEvent(drop)
    return drop.dropAction()


def uri_list(*lines):
    data = QMimeData()
    data.setData("text/uri-list", "".join(f"{line}\r\n" for line in lines).encode())
    return data


def text(words):
    data = QMimeData()
    data.setText(words)
    return data


@pytest.fixture
def odd(tmp_path, recording_path):
    """A recording whose name has what must be escaped."""
    path = tmp_path / "Élan vital #2 100%.flac"
    recording_path.rename(path)
    return path


@pytest.mark.parametrize("form", ["{escaped}", "localhost", "comment", "text", "bare #"])
def test_the_addresses_that_programs_give_are_understood(window, wait, odd, form):
    escaped = bytes(QUrl.fromLocalFile(str(odd)).toEncoded()).decode()
    assert "%C3%89lan%20vital%20%232%20100%25" in escaped
    data = {"{escaped}": uri_list(escaped), "localhost": uri_list(escaped.replace("file://", "file://localhost")),
            "comment": uri_list("# from a DAW", escaped), "text": text(escaped + "\n"),
            "bare #": uri_list(escaped.replace("%23", "#"))}[form]
    assert dropped(window, data) == COPY  # or the other program would delete its file
    wait(lambda: window.session.recording is not None)
    assert window.session.recording.path == odd


def test_a_drop_asks_about_unsaved_work(opened, odd, monkeypatch, wait):
    opened.session.change_target(lambda curve: curve.shifted(1.0), "Shift")
    asked = []
    monkeypatch.setattr("babe2_gui.views.files.ask", lambda *words: asked.append(words) or "cancel")
    dropped(opened, uri_list(QUrl.fromLocalFile(str(odd)).toString()))
    wait(lambda: asked)
    assert opened.session.recording.path != odd and not opened.session.loading
    opened.session.mark_saved()


@pytest.mark.parametrize("address, words", [
    ("https://example.org/aria.wav", "https://example.org/aria.wav is not a file on this computer. Save it"),
    ("file:///nowhere/aria%20two.wav", "There is no file /nowhere/aria two.wav."),
    ("file:///dev/null", "/dev/null is not a regular file."),
    ("file:///nowhere/%00.wav", "")])
def test_what_cannot_be_opened_is_a_sentence_in_the_banner(window, wait, address, words):
    dropped(window, uri_list(address))
    wait(window.banner.isVisible)
    assert window.banner.text.text().startswith(words) and window.banner.text.text().endswith(".")
    assert window.session.recording is None and not window.session.loading


def test_of_files_and_addresses_the_files_are_taken(window, wait, odd):
    dropped(window, uri_list("https://example.org/a.wav", QUrl.fromLocalFile(str(odd)).toString()))
    wait(lambda: window.session.recording is not None)


def test_text_and_the_apps_own_takes_are_not_taken(opened, odd):
    assert dropped(opened, text("a sentence, not a file")) is None

    class Own(QDragEnterEvent):
        def source(self):
            return opened.takes.grip
    data = uri_list(QUrl.fromLocalFile(str(odd)).toString())
    enter = Own(QPoint(9, 9), COPY, data, LEFT, NONE)
    enter.ignore()
    opened.dragEnterEvent(enter)
    assert not enter.isAccepted()


def test_files_are_the_windows_whatever_lies_under_the_mouse(opened, odd, monkeypatch):
    """The chain's lists, fields that take text and the views let files through to the window."""
    opened.tabs.setCurrentIndex(1)
    field = QLineEdit(opened.takes)
    seen = []
    monkeypatch.setattr(opened, "dragEnterEvent", lambda event: seen.append(event.accept()))
    takers = [widget for widget in opened.findChildren(QWidget) if widget.acceptDrops() and widget.window() is opened]
    assert field in takers and {"EffectList", "TimelinePlot", "EqPlot"} <= {type(widget).__name__ for widget in takers}
    data = uri_list(QUrl.fromLocalFile(str(odd)).toString())
    data.setText(str(odd))
    for count, widget in enumerate(takers, 1):
        QApplication.sendEvent(widget, QDragEnterEvent(QPoint(3, 3), COPY, data, LEFT, NONE))
        assert len(seen) == count, widget
