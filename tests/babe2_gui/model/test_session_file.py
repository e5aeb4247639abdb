"""Sessions in files: as they were, whole or not at all, and safe to read."""

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from babe2_gui.model.session import View
from babe2_gui.model.session_file import RecordingMissing, SessionError, SessionWriter, Snapshot, read_session


@pytest.fixture
def saved(full_session, tmp_path):
    """What a session was when it was saved, and its file; the recording lies next to it."""
    recording = full_session.recording
    beside = shutil.copy(recording.path, tmp_path / "notes.flac")
    snapshot = replace(Snapshot.of(full_session), recording=replace(recording, path=beside))
    path = tmp_path / "session.babe2"
    SessionWriter().write(path, snapshot)
    return snapshot, path


def test_a_session_is_reopened_as_it_was(saved):
    session, path = saved
    snapshot = read_session(path)
    ours, theirs = session.document, snapshot.document
    assert (theirs.target, theirs.options, theirs.before, theirs.after, theirs.current) == (
        ours.target, ours.options, ours.before, ours.after, ours.current)
    assert snapshot.view == session.view
    assert np.array_equal(snapshot.recording.audio, session.recording.audio)
    for mine, its in zip(ours.takes, theirs.takes, strict=True):
        assert (its.name, its.start, its.id, its.options, its.target, its.notes) == (
            mine.name, mine.start, mine.id, mine.options, mine.target, mine.notes)
        assert np.abs(its.audio - mine.audio).max() < 2 ** -23 * max(1, np.abs(mine.audio).max())
        assert np.allclose(its.learned.db, mine.learned.db, atol=1e-4)
        assert np.allclose(its.learned.breakpoints_hz, mine.learned.breakpoints_hz, atol=1e-4)


def test_a_deviation_is_kept_with_its_gaps_and_earlier_sessions_have_none(session, tmp_path, render):
    take = render(session)
    doubt_db = np.where(take.learned.hz < 100, np.nan, 1.5)
    session.add_take(replace(take, id="told", learned=replace(take.learned, deviation_db=doubt_db)))
    path = tmp_path / "told.babe2"
    SessionWriter().write(path, Snapshot.of(session))
    plain, told = read_session(path).document.takes
    assert plain.learned.deviation_db is None
    np.testing.assert_array_equal(told.learned.deviation_db, doubt_db)
    rewritten(path, lambda c: [take["learned"].pop("deviation_db") for take in c["document"]["takes"]])
    assert all(take.learned.deviation_db is None for take in read_session(path).document.takes)


def test_a_setting_without_effect_that_was_saved_is_left_out_with_a_sentence(saved):
    """As earlier versions saved them; those of takes are a record of what was asked for then, and stay."""
    _, path = saved
    idle = {"xi": 2.0, "filter_iterations": 50}
    for options in ((lambda c: c["document"]["options"]), (lambda c: c["document"]["takes"][0]["options"])):
        rewritten(path, lambda c, options=options: options(c)["expert"].update(idle))
    snapshot = read_session(path)
    assert snapshot.document.options.expert == {"steps": 3, "order": 1} and snapshot.document.options.settings
    assert snapshot.document.takes[0].options.expert == {"steps": 3, "order": 1} | idle
    assert snapshot.notes == (
        "The saved setting xi was left out: it does nothing with guidance = direct; it belongs to guidance = gradient.",
        "The saved setting filter_iterations was left out: it does nothing with filter_fit = global; it belongs to "
        "filter_fit = adam or sgd.")


def test_a_setting_of_earlier_versions_is_left_out_with_a_sentence(saved):
    _, path = saved
    for options in ((lambda c: c["document"]["options"]), (lambda c: c["document"]["takes"][0]["options"])):
        rewritten(path, lambda c, options=options: options(c)["expert"].update(ltas_margin=0.5))
    snapshot = read_session(path)
    assert snapshot.document.options.expert == snapshot.document.takes[0].options.expert == {"steps": 3, "order": 1}
    assert len(snapshot.notes) == 1 and snapshot.notes[0].startswith("The saved setting ltas_margin was left out")


def test_a_session_whose_preset_is_gone_is_opened_all_the_same(saved):
    _, path = saved
    rewritten(path, lambda c: c["document"]["options"].update(preset="no-longer-there"))
    assert read_session(path).document.options.preset == "no-longer-there"


def test_peaks_beyond_full_scale_are_kept(session, tmp_path, render):
    take = render(session)
    session.add_take(replace(take, id="loud", audio=take.audio / np.abs(take.audio).max() * np.float32(3.5)))
    SessionWriter().write(tmp_path / "loud.babe2", Snapshot.of(session))
    assert np.abs(read_session(tmp_path / "loud.babe2").document.take.audio).max() == pytest.approx(3.5, rel=1e-6)


def test_it_moves_with_its_folder(saved, tmp_path):
    session, path = saved
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(path, moved / path.name)
    shutil.move(session.recording.path, moved / session.recording.path.name)
    assert read_session(moved / path.name).recording.path == moved / session.recording.path.name


def test_a_recording_that_is_gone_is_asked_for(saved, tmp_path):
    session, path = saved
    elsewhere = tmp_path / "elsewhere.flac"
    shutil.move(session.recording.path, elsewhere)
    with pytest.raises(RecordingMissing, match="notes.flac"):
        read_session(path)
    assert read_session(path, str(elsewhere)).document.takes


def test_another_recording_is_not_taken_for_it(saved, shared):
    _, path = saved
    with pytest.raises(RecordingMissing, match="not the recording of this session"):
        read_session(path, str(shared / "audio" / "piano_ragtime_clean.flac"))


def test_a_file_that_cannot_be_written_leaves_the_old_one(saved, monkeypatch):
    session, path = saved
    before = path.read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *args: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(SessionError, match="no space"):
        SessionWriter().write(path, session)
    assert path.read_bytes() == before and not list(path.parent.glob(".babe2-*"))


def test_a_recording_is_never_written_over(saved):
    session, _ = saved
    with pytest.raises(SessionError, match="input"):
        SessionWriter().write(session.recording.path, session)


def rewritten(path, change):
    """The session's file with its JSON changed by `change(content)`."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = json.loads(members["session.json"])
    change(content)
    members["session.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("change", [
    lambda c: c.update(format="babe2-session-99"), lambda c: c.pop("document"), lambda c: c.update(recording=5),
    lambda c: c["document"].update(target={"origin": "x", "points": [[1, 2]]}),
    lambda c: c["document"].update(target={"origin": "x", "points": [[1, "a"], [2, 3]]}),
    lambda c: c["document"]["options"].update(quality="best"), lambda c: c["document"]["options"].update(more=1),
    lambda c: c["document"]["takes"][0].update(start=-5), lambda c: c["document"]["takes"][0].update(samples=10 ** 12),
    lambda c: c["document"]["takes"][0].update(id="../../etc/passwd"),
    lambda c: c["document"]["takes"][0].update(scale=float("inf")),
    lambda c: c["document"]["takes"][0]["learned"].update(db=[None]),
    lambda c: c["document"]["takes"][0]["learned"].update(deviation_db=[1.0]),
    lambda c: c["document"].update(before=[{"plugin": 3, "values": {}, "enabled": True}])])
def test_what_is_damaged_is_refused_with_a_sentence(saved, change):
    _, path = saved
    rewritten(path, change)
    with pytest.raises(SessionError, match="session.babe2"):
        read_session(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"not a zip at all", b"\0" * 4096])
def test_what_is_no_session_is_refused(tmp_path, content):
    path = tmp_path / "no.babe2"
    path.write_bytes(content)
    with pytest.raises(SessionError, match="no.babe2"):
        read_session(path)
    with pytest.raises(SessionError, match="no session"):
        read_session(tmp_path / "missing.babe2")


def test_every_truncation_is_noticed(saved):
    _, path = saved
    whole = path.read_bytes()
    for share in np.linspace(0.05, 0.99, 12):
        path.write_bytes(whole[:int(len(whole) * share)])
        with pytest.raises(SessionError):
            read_session(path)


def test_a_member_that_unpacks_without_end_is_not_believed(saved):
    _, path = saved
    with zipfile.ZipFile(path) as archive:
        take = next(name for name in archive.namelist() if name.startswith("takes/"))
        members = {name: archive.read(name) for name in archive.namelist()}
    members[take] = b"fLaC" + bytes(50 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(SessionError, match="larger than"):
        read_session(path)


def test_a_view_that_cannot_be_used_is_no_reason_to_refuse(saved):
    _, path = saved
    rewritten(path, lambda c: c.update(view={"selection_s": "x", "time_s": [0.1, 0.5], "loop": 3}))
    view = read_session(path).view
    assert view.selection_s is None and view.time_s == (0.1, 0.5) and view.loop is View().loop
