"""Performances as MIDI files, and FluidSynth playing them on a real SoundFont where one is installed."""

import shutil

import numpy as np
import pytest

pytest.importorskip("mido")

import mido

from babe2_fx.errors import UserError
from babe2_fx.training.piano import soundfonts
from babe2_fx.training.piano.__main__ import SOUNDFONT_FOLDERS
from babe2_fx.training.piano.performance import perform
from babe2_fx.training.piano.soundfonts import CHANNELS, PROGRAMS, SoundfontPiano, find_soundfont, write_midi


@pytest.fixture(scope="module", params=["timgm-grand", "fluid-grand"])
def soundfont_piano(request):
    program = PROGRAMS[request.param]
    if shutil.which("fluidsynth") is None:
        pytest.skip("needs the program fluidsynth")
    try:
        file = find_soundfont(program.soundfont, SOUNDFONT_FOLDERS)
    except UserError as error:
        pytest.skip(str(error))
    return SoundfontPiano(file, program, np.random.default_rng(0))


def read_midi(path):
    """[(seconds, message)] of the notes of a MIDI file, and its other messages."""
    now, sounding, other = 0.0, [], []
    for message in mido.MidiFile(path):
        now += message.time
        (sounding if message.type.startswith("note") else other).append((now, message))
    return sounding, [message for _, message in other]


def test_a_midi_file_has_the_performance(scale, tmp_path):
    played = perform(scale(), np.random.default_rng(3), 20.0)
    write_midi(played, tmp_path / "played.mid", 0, 0, np.zeros(len(CHANNELS)))
    sounding, _ = read_midi(tmp_path / "played.mid")
    strikes = sorted((m.note, t, m.velocity) for t, m in sounding if m.type == "note_on")
    wanted = sorted(zip(played.key.astype(int), played.onset_s, played.velocity))
    assert [key for key, *_ in strikes] == [key for key, *_ in wanted]
    assert np.allclose([t for _, t, _ in strikes], [t for _, t, _ in wanted], atol=2e-3)
    assert np.allclose([v for *_, v in strikes], [v for *_, v in wanted], atol=0.51)
    ends = {}
    for t, message in sounding:
        if message.type == "note_off":
            ends.setdefault(message.note, []).append(t)
    for key in np.unique(played.key):
        of_key = played.key == key
        until = np.minimum(played.release_s[of_key], np.append(played.onset_s[of_key][1:], np.inf))
        finite = np.isfinite(until)
        assert np.allclose(np.array(ends[int(key)])[finite], until[finite], atol=2e-3)


def test_a_key_is_let_go_before_it_is_struck_again(notes, tmp_path):
    # A trill on one key, with dampers that fall late, two strikes at one time and one key that is never damped.
    rows = [(0.1 * i, 0.1 * i + 0.5, 60, 80) for i in range(10)] + [(0.95, 2.0, 60, 80), (0.95, 2.0, 60, 90)]
    write_midi(notes(*rows, (1.0, np.inf, 100, 70)), tmp_path / "a.mid", 0, 0, np.zeros(len(CHANNELS)))
    sounding, _ = read_midi(tmp_path / "a.mid")
    for key in (60, 100):
        kinds = [m.type for _, m in sounding if m.note == key]
        assert kinds == ["note_on", "note_off"] * (len(kinds) // 2)
    assert sum(m.type == "note_on" for _, m in sounding) == 13


def test_every_channel_gets_bank_program_and_its_own_mistuning(notes, tmp_path):
    cents = np.linspace(-30, 30, len(CHANNELS))
    write_midi(notes((0.1, 1, 60, 80)), tmp_path / "a.mid", program=3, bank=8, detune_cents=cents)
    _, other = read_midi(tmp_path / "a.mid")
    for channel, wanted in zip(CHANNELS, cents):
        mine = {m.type: m for m in other if getattr(m, "channel", None) == channel}
        assert mine["program_change"].program == 3
        assert (mine["control_change"].control, mine["control_change"].value) == (0, 8)
        assert mine["pitchwheel"].pitch * 200 / 8192 == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("key", [45, 60, 79])
def test_a_soundfont_sounds_the_key_and_its_mistuning(soundfont_piano, notes, strongest_hz, key):
    plain, sharp = SoundfontPiano.__new__(SoundfontPiano), SoundfontPiano.__new__(SoundfontPiano)
    for piano, cents in ((plain, 0), (sharp, 50)):
        piano.__dict__.update(soundfont_piano.__dict__, detune_cents=np.full(len(CHANNELS), cents), curve=1.0)
    f0 = 440 * 2 ** ((key - 69) / 12)
    heard = []
    for piano in (plain, sharp):
        audio = piano.play(notes((0.1, 1.5, key, 70)), 1.6)[0][int(0.2 * piano.sample_rate) :]
        hz = strongest_hz(audio, piano.sample_rate)
        heard.append(hz / f0 / round(hz / f0))  # the strongest partial need not be the first
    assert abs(1200 * np.log2(heard[0])) < 15
    assert 1200 * np.log2(heard[1] / heard[0]) == pytest.approx(50, abs=6)


def test_a_soundfont_plays_in_time_and_stops(soundfont_piano, notes):
    rate = soundfont_piano.sample_rate
    audio = soundfont_piano.play(notes((0.5, 1.0, 57, 90)), 4.0)
    assert audio.shape == (2, 4 * rate) and audio.dtype == np.float32
    begins = np.argmax(np.abs(audio).max(0) > 0.05 * np.abs(audio).max()) / rate
    assert begins == pytest.approx(0.5, abs=0.02)
    level = [np.std(audio[:, int(t * rate) : int((t + 0.2) * rate)]) for t in (0.75, 3.7)]
    assert level[1] < 0.02 * level[0]
    # It is as long when the notes end early and when they would go on.
    assert soundfont_piano.play(notes((0.1, np.inf, 57, 90)), 1.0).shape == (2, rate)


def test_harder_is_louder_and_bends_with_the_curve(soundfont_piano, notes):
    def level(velocity, curve):
        soundfont_piano.curve = curve
        return np.std(soundfont_piano.play(notes((0.1, 0.9, 60, velocity)), 1.0))

    levels = [level(v, 1.0) for v in (20, 50, 80, 110)]
    assert np.all(np.diff(levels) > 0)
    assert level(50, 1.4) < levels[1] < level(50, 0.7)


def test_a_missing_soundfont_is_named_with_its_package(tmp_path):
    with pytest.raises(UserError, match=r"There is no FluidR3_GM.sf2 in .*fluid-soundfont-gm"):
        find_soundfont(soundfonts.FLUID, [tmp_path])


def test_a_missing_fluidsynth_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="fluidsynth.*install"):
        SoundfontPiano(tmp_path / "a.sf2", PROGRAMS["fluid-grand"], np.random.default_rng(0))


@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="needs the program fluidsynth")
def test_a_file_that_is_no_soundfont_is_named(tmp_path, notes):
    (tmp_path / "broken.sf2").write_bytes(b"RIFF of nothing")
    piano = SoundfontPiano(tmp_path / "broken.sf2", PROGRAMS["fluid-grand"], np.random.default_rng(0))
    with pytest.raises(UserError, match="FluidSynth cannot play .*broken.sf2"):
        piano.play(notes((0.1, 0.5, 60, 80)), 1.0)
