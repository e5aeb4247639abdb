"""The session without a window: editing, history, rendering, takes, listening."""

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from babe2_fx.errors import UserError
from babe2_gui.model import engine
from babe2_gui.model.document import Document, History
from babe2_gui.model.options import RenderOptions
from babe2_gui.model.render import RenderState, clock


def test_the_model_needs_no_qt():
    code = ("import sys; import babe2_gui.model.session_file; "
            "sys.exit(any(name.startswith(('PySide6', 'pyqtgraph')) for name in sys.modules))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_everything_is_undone_and_done_again(session):
    start = session.document
    session.change_target(lambda curve: curve.shifted(3.0), "Shift target")
    session.set_options("Another seed", seed=7)
    session.edit("Arrange effects", after=())
    done = session.document
    for _ in range(3):
        session.undo()
    assert session.document == start
    for _ in range(3):
        session.redo()
    assert session.document == done


def test_a_drag_is_one_step(session):
    before = session.document
    for db in (1.0, 2.0, 3.0):
        session.change_target(lambda curve, db=db: curve.moved(1, curve.points[1][0], db), "Move point", "drag 1")
    assert session.document.target.points[1][1] == 3.0
    session.undo()
    assert session.document == before


def test_history_forgets_what_was_undone_when_something_else_is_done():
    history = History(Document())
    history.push(Document(current="a"), "a")
    history.undo()
    history.push(Document(current="b"), "b")
    assert history.redo_label is None and history.undo_label == "b"


def test_the_presets_spectrum_is_the_target_until_it_is_edited(session):
    assert session.document.target is None and session.shown_target is session.preset_target
    session.change_target(lambda curve: curve.shifted(1.0), "Shift target")
    assert session.document.target.at(1000.0) == pytest.approx(session.preset_target.at(1000.0) + 1)
    assert session.modified


def test_a_change_that_cannot_be_is_said_and_nothing_changes(session):
    before = session.document
    session.set_options("Change", expert={"sigma_start": 1e-6})
    assert session.document is before
    sentence, error = session.said[-1]
    assert error and "sigma_min" in sentence
    session.change_target(lambda curve: curve.without(set(range(50))), "Delete")
    assert session.document is before and "two points" in session.said[-1][0]


def test_expert_settings_that_are_the_presets_own_are_not_kept():
    options = RenderOptions(quality="draft")
    own = options.settings["steps"]
    changed = replace(options, expert=options.with_expert("steps", own + 1))
    assert changed.expert == {"steps": own + 1} and changed.settings["steps"] == own + 1
    assert changed.with_expert("steps", own) == changed.without_expert("steps") == {}


@pytest.mark.parametrize("bad", [{"quality": "best"}, {"device": "tpu"}, {"target_match": 2.0}, {"seed": -1},
                                 {"expert": {"nonsense": 1}}, {"expert": {"steps": 1}}])
def test_options_that_cannot_be_are_refused(bad):
    with pytest.raises((UserError, ValueError)):
        RenderOptions(**bad)


def test_a_render_becomes_a_take_with_what_was_learned(session, render):
    states = []
    session.progressed.connect(states.append)
    take = render(session)
    assert take.audio.shape == session.recording.audio.shape and np.isfinite(take.audio).all()
    assert len(take.learned.breakpoints_hz) == 5 and len(take.spectra) == 3
    assert not np.array_equal(take.audio, session.recording.audio)
    steps = [state for state in states if isinstance(state, RenderState) and state.steps]
    assert steps[-1].share == 1.0 and all(state.learned is not None for state in steps) and states[-1] is None
    assert session.listening.mixer.names == {"original", "restored"}
    assert session.modified


def test_it_is_what_the_effect_makes(session, prior, render, quick):
    """The app's render is the engine's, to the bit."""
    from babe2_fx import GenerativeEQ
    take = render(session)
    effect = GenerativeEQ("piano", "draft", prior=prior, **quick)
    assert np.array_equal(take.audio, effect(session.recording.audio, session.recording.sample_rate))


def test_a_target_is_rendered_with(session, render):
    session.change_target(lambda curve: curve.steeper(1500.0, -6.0), "Change slope")
    session.set_options("Match", target_match=1.0)
    matched, target = render(session), session.document.target
    session.set_options("Match", target_match=0.0)
    plain = render(session)
    assert matched.target == plain.target == target

    def error_db(take):
        hz, db = engine.spectrum(take.audio, session.recording.sample_rate)
        off = (db - target.at(hz))[(hz > 200) & (hz < 6000)]
        return np.abs(off - np.median(off)).mean()
    assert error_db(matched) < 0.5 * error_db(plain)


def test_a_passage_is_rendered_first(session, render):
    session.view.selection_s = (0.5, 1.25)
    take = render(session, passage_only=True)
    rate = session.recording.sample_rate
    assert (take.start, take.start + take.samples) == (round(0.5 * rate), round(1.25 * rate))
    assert take.name.startswith("Preview")
    session.listening.mixer.choose("restored")
    session.listening.mixer.read(round(0.4 * rate))
    heard = session.listening.mixer.read(round(0.05 * rate))
    assert np.array_equal(heard, session.recording.audio[:, round(0.4 * rate):][:, :heard.shape[1]])


def test_takes_are_named_chosen_and_deleted_and_that_is_undone(session, render):
    first, second = render(session), render(session)
    assert [take.name for take in session.document.takes] == ["Take 1", "Take 2"]
    session.rename_take(first.id, "  bright one ")
    session.choose_take(first.id)
    assert session.document.take.name == "bright one"
    session.remove_take(first.id)
    assert session.document.take.id == second.id
    session.undo()
    assert session.document.take.name == "bright one"


def test_a_takes_settings_are_used_again_where_they_have_an_effect(session, render):
    session.change_target(lambda curve: curve.shifted(1.0), "Shift target")
    take = render(session)
    old = replace(take, id="old", options=replace(take.options, seed=8, expert=take.options.expert | {"xi": 2.0}))
    session.add_take(old)
    session.set_target(None, "Back")
    session.use_settings(old)
    assert session.document.target == take.target and session.document.options == replace(take.options, seed=8)
    assert "xi is as the preset has it again" in session.said[-1][0]


def test_undoing_an_edit_does_not_throw_a_render_away(session, render):
    session.change_target(lambda curve: curve.shifted(1.0), "Shift target")
    take = render(session)
    session.undo()
    assert session.document.target is None and session.document.takes == (take,)


def test_a_cancelled_render_is_over_at_once_and_leaves_nothing(session):
    session.set_options("Slow", expert={"steps": 1000})
    held, done = threading.Event(), []
    session.progressed.connect(lambda state: held.set() if state and state.steps else done.append(state))
    session.render()
    job = session.job
    assert held.wait(60)
    session.cancel()
    assert session.job is None and done[-1] is None
    job.join(60)
    assert not job._thread.is_alive() and session.document.takes == ()
    assert session.render()  # another can begin
    session.cancel()


def test_a_cancelled_render_goes_on_from_its_finished_blocks(prior, make_notes, tmp_path, quick):
    """What comes out is what an uninterrupted render makes."""
    from babe2_gui.model.session import Session
    soundfile.write(tmp_path / "long.wav", make_notes(22050, 4.0).T, 22050)
    session = Session(prior=prior, folder=tmp_path / "state")
    (tmp_path / "state").mkdir()
    session.open_recording(str(tmp_path / "long.wav"))
    session.set_options("Quick", quality="draft", expert=quick)

    def run(until_block=None):
        states = []
        session.progressed.connect(states.append)

        def watch(state):
            if state and state.block == until_block:
                session.cancel()
        session.progressed.connect(watch)
        session.render()
        job = session.job
        if job:
            job.join(60)
        session.progressed.disconnect(watch)
        return len([state for state in states if state and state.steps])
    steps = run()
    assert run(until_block=3) < steps and len(session.document.takes) == 1
    assert run() <= 2 + steps // 3  # a word on each block that is there, and the last one
    whole, resumed = session.document.takes
    assert np.array_equal(whole.audio, resumed.audio)
    assert any("taken from a render" in note for note in resumed.notes)
    assert not list((tmp_path / "state").glob("*unfinished"))


def test_a_paused_render_waits_and_then_makes_the_same(session, render):
    whole = render(session)
    stopped = threading.Event()

    def pause_once(state):
        if state and state.step == 1 and not stopped.is_set():
            session.job.pause()
            stopped.set()
    session.progressed.connect(pause_once)
    session.render()
    job = session.job
    assert stopped.wait(60)
    job.join(0.3)
    assert job._thread.is_alive() and job.paused and job.state.step == 1
    session.pause(False)
    job.join(60)
    assert np.array_equal(session.document.take.audio, whole.audio) and len(session.document.takes) == 2


def test_a_render_that_fails_says_why(session):
    session.prior = None
    session.set_options("Another preset", preset="piano-maestro")
    session.said.clear()
    assert session.render()
    if session.job:
        session.job.join(60)
    sentence, error = session.said[-1]
    assert error and "piano-maestro" in sentence and session.job is None


def test_nothing_to_render_is_said(prior):
    from babe2_gui.model.session import Session
    session, said = Session(prior=prior), []
    session.reported.connect(lambda *words: said.append(words))
    assert not session.render()
    assert "Open a recording" in said[0][0]


def test_versions_are_as_loud_as_the_original(session, render):
    from babe2_gui.model.loudness import loudness_lufs
    take = replace(render(session), id="quiet", audio=session.recording.audio * np.float32(0.25))
    session.add_take(take)
    source = session.listening.mixer.source("restored")
    rate = session.recording.sample_rate
    assert loudness_lufs(source.audio * source.gain, rate) == pytest.approx(
        loudness_lufs(session.recording.audio, rate), abs=0.1)
    session.listening.set_matched(False)
    assert session.listening.mixer.source("restored").gain == 1.0


def test_takes_are_compared_without_waiting(session, render, monkeypatch):
    first, second = render(session), render(session)
    monkeypatch.setattr("babe2_gui.model.listening.loudness_lufs", None)  # nothing is measured again
    for take in (first, second, first):
        session.choose_take(take.id)
        assert session.listening.restored[0] is take.audio


def test_the_plain_equalizer_is_heard_beside_it(session):
    session.listening.equalize()
    source = session.listening.mixer.source("equalized")
    assert source.audio.shape == session.recording.audio.shape
    assert not np.array_equal(source.audio, session.recording.audio)


def test_a_new_recording_begins_a_new_history(session, tmp_path, render):
    render(session)
    other = tmp_path / "other.wav"
    soundfile.write(other, np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    session.change_target(lambda curve: curve.shifted(1.0), "Shift target")
    session.open_recording(str(other))
    assert session.document.takes == () and session.document.target is not None
    assert not session.modified and session.history.undo_label is None
    assert session.listening.mixer.names == {"original"}


def test_a_file_that_is_no_recording_is_said_and_changes_nothing(session, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF nothing")
    recording = session.recording
    session.open_recording(str(bad))
    assert session.recording is recording and not session.loading
    sentence, error = session.said[-1]
    assert error and "bad.wav" in sentence and sentence.endswith(".")


def test_a_take_is_exported_as_it_is_heard_with_tags(session, tmp_path, render):
    render(session)
    path = tmp_path / "out.flac"
    session.export(str(path), "16", {"title": "Étude", "comment": ""})
    assert "Wrote" in session.said[-1][0]
    assert soundfile.info(path).subtype == "PCM_16"
    with soundfile.SoundFile(path) as file:
        assert file.title == "Étude" and file.frames == session.recording.audio.shape[1]


def test_an_export_that_cannot_be_is_said(session, tmp_path, render):
    session.export(str(tmp_path / "a.wav"), None, {})
    assert "nothing to export" in session.said[-1][0]
    render(session)
    session.export(str(tmp_path / "nowhere" / "a.wav"), None, {})
    assert session.said[-1][1] and "no folder" in session.said[-1][0]
    session.export(str(session.recording.path), None, {})
    assert session.said[-1][1] and "input" in session.said[-1][0]


def test_the_learned_response_is_exported_as_the_command_line_does(session, tmp_path, render):
    import json
    render(session)
    session.export_eq(str(tmp_path / "eq.json"))
    content = json.loads((tmp_path / "eq.json").read_text())
    assert set(content) == {"freqs_hz", "response_db", "deviation_db", "breakpoints_hz", "slopes_db_per_octave",
                            "reference_hz"}
    assert len(content["breakpoints_hz"]) == 5


def test_a_target_from_a_file(session, tmp_path, recording_path):
    curve = tmp_path / "curve.csv"
    curve.write_text("Hz,dB\n100,0\n1000,-6\n10000,-30\n")
    session.load_target(str(curve))
    assert session.document.target.origin == "curve.csv"
    assert session.document.target.at(10000.0) - session.document.target.at(1000.0) == pytest.approx(-24, abs=0.5)
    session.load_target(str(recording_path))
    assert session.document.target.origin == "notes.flac"
    curve.write_text("nothing\nhere\n")
    session.load_target(str(curve))
    assert session.said[-1][1] and "curve.csv" in session.said[-1][0]


def test_words_for_the_user():
    assert (clock(5), clock(65), clock(3725)) == ("0:05", "1:05", "1:02:05")
    state = RenderState(0.25, 1, 3, 3, 12, 0.0234, 65.0)
    assert state.words() == "Step 3 of 12 · block 1 of 3 · sigma 0.023" and state.left_words() == "1:05 left"


def test_a_recording_of_a_low_rate_is_opened_with_room_for_its_highs(tmp_path, make_notes):
    soundfile.write(tmp_path / "old.wav", make_notes(8000, 1.0).T, 8000, "PCM_16")
    recording = engine.opened(tmp_path / "old.wav")
    assert (recording.sample_rate, recording.audio.shape[1], recording.subtype) == (44100, 44100, "PCM_16")
    assert any("is at 8000 Hz. It was brought to 44100 Hz" in note for note in recording.notes)
    soundfile.write(tmp_path / "new.wav", make_notes(48000, 1.0).T, 48000)
    assert engine.opened(tmp_path / "new.wav").sample_rate == 48000 and engine.opened(tmp_path / "new.wav").notes == ()
