"""The piano renderer, on a stand-in for the sampled piano: damped sinusoids, five keys and two layers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from babe2_fx.training import piano as piano_module
from babe2_fx.training.piano import (
    SAMPLE_RATE,
    Performance,
    Piano,
    Score,
    accompany,
    arrange,
    broad_eq_db,
    is_held_out,
    is_top,
    load_samples,
    mix_notes,
    perform,
    render_corpus,
    render_file,
    room_response,
)

pytest.importorskip("soxr")

STAND_IN_RATE = 32000
STAND_IN_KEYS = {"A1": 33, "A2": 45, "A3": 57, "A4": 69, "A5": 81}


@pytest.fixture(scope="module")
def stand_in_dir(tmp_path_factory):
    """Sampled notes in which the hard layer is 12 dB louder and has a second harmonic."""
    folder = tmp_path_factory.mktemp("stand_in")
    t = np.arange(int(1.2 * STAND_IN_RATE)) / STAND_IN_RATE
    for name, key in STAND_IN_KEYS.items():
        f0 = 440 * 2 ** ((key - 69) / 12)
        for layer, gain in ((2, 0.2), (14, 0.8)):
            note = np.sin(2 * np.pi * f0 * t) + (layer > 5) * 0.3 * np.sin(4 * np.pi * f0 * t)
            note = gain * 0.7 * note * np.exp(-t / 0.5) * np.clip(t / 0.002, 0, 1)
            silence = np.zeros(STAND_IN_RATE // 50)  # the recording starts before the hammer
            soundfile.write(folder / f"{name}v{layer}.wav", np.concatenate([silence, note]), STAND_IN_RATE)
    return folder


@pytest.fixture
def piano(stand_in_dir):
    return Piano(*load_samples(stand_in_dir), np.random.default_rng(0))


def scale(name="anon/scale", kind="keyboard", bars=16):
    """Four quarter notes a bar over a held bass note."""
    onset = np.concatenate([np.arange(4.0 * bars), 4.0 * np.arange(bars)])
    key = np.concatenate([60 + np.array([0, 2, 4, 5] * bars), np.full(bars, 48)])
    duration = np.concatenate([np.ones(4 * bars), np.full(bars, 4.0)])
    return Score(name, kind, onset, duration, key, 4.0 * np.arange(bars), 120.0)


def notes(*rows):
    """A performance of (onset_s, release_s, key, velocity) rows."""
    return Performance(*np.array(rows, float).T)


def strongest_hz(audio):
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * len(audio)))
    return np.fft.rfftfreq(8 * len(audio), 1 / SAMPLE_RATE)[spectrum.argmax()]


@pytest.mark.parametrize("key", [38, 57, 60, 70, 79])
def test_a_key_sounds_its_pitch(piano, key):
    audio = mix_notes(piano, notes((0.1, 1.0, key, 64)), 1.2)[0]
    cents = 1200 * np.log2(strongest_hz(audio) / (440 * 2 ** ((key - 69) / 12)))
    assert abs(cents) < 12  # the instrument's own mistuning is a few cents


def test_notes_begin_when_they_are_played(piano):
    for onset in (0.05, 0.5, 1.234):
        audio = mix_notes(piano, notes((onset, onset + 0.5, 69, 90)), 2.0)[0]
        begins = np.argmax(np.abs(audio) > 0.1 * np.abs(audio).max()) / SAMPLE_RATE
        assert begins == pytest.approx(onset, abs=0.003)


def test_level_rises_with_velocity(piano):
    levels = [np.std(mix_notes(piano, notes((0.1, 0.9, 60, v)), 1.0)) for v in range(10, 127, 6)]
    assert np.all(np.diff(levels) >= 0)
    assert levels[-1] > 2 * levels[0]


def test_dampers_stop_a_note_without_a_click(piano):
    audio = mix_notes(piano, notes((0.1, 0.5, 57, 100)), 1.2)[0]
    after = audio[int(0.95 * SAMPLE_RATE) :]
    assert np.abs(after).max() == 0
    # A click is a step: larger than the steepest slope of the sounding note.
    slope, release = np.abs(np.diff(audio)), int(0.45 * SAMPLE_RATE)
    assert slope[release:].max() <= slope[:release].max()


def test_plain_performance_is_the_score():
    played = perform(scale(), np.random.default_rng(0), duration_s=5.0, expressive=False)
    melody = played.onset_s[played.key >= 60]
    assert np.allclose(melody, 0.05 + 0.5 * np.arange(10))
    assert np.all(played.velocity == 64)


def test_expressive_performance_keeps_order_range_and_length():
    for seed in range(20):
        played = perform(scale(), np.random.default_rng(seed), duration_s=20.0)
        assert np.all(np.diff(played.onset_s) >= 0) and 0 < played.onset_s[0] and played.onset_s[-1] < 20.1
        assert np.all(played.release_s > played.onset_s)
        assert np.all((played.velocity >= 1) & (played.velocity <= 127))
        assert len(set(played.key % 12)) == 4  # C, D, E, F in some key


def test_melody_is_louder_than_the_middle_voices():
    score = scale()
    both = replace(  # a second voice a fourth below the melody
        score,
        onset=np.concatenate([score.onset, score.onset[:64]]),
        duration=np.concatenate([score.duration, score.duration[:64]]),
        key=np.concatenate([score.key, score.key[:64] - 5]),
    )
    assert is_top(both)[:64].all() and not is_top(both)[64:].any()
    louder = []
    for seed in range(20):
        played = perform(both, np.random.default_rng(seed), duration_s=60.0)
        lowest = played.key.min()  # the held C an octave under the scale
        top = np.isin(played.key - lowest, [12, 14, 16, 17])
        middle = np.isin(played.key - lowest, [7, 9, 11])
        louder.append(played.velocity[top].mean() - played.velocity[middle].mean())
    assert np.mean(louder) > 6 and np.min(louder) > 0


def test_a_struck_key_is_damped_when_struck_again():
    score = replace(scale(), onset=np.arange(80) * 0.5, duration=np.full(80, 4.0), key=np.full(80, 60))
    played = perform(score, np.random.default_rng(1), duration_s=10.0, expressive=False)
    assert np.all(played.release_s[:-1] <= np.maximum(played.onset_s[1:], played.onset_s[:-1] + 0.03) + 1e-9)


def test_high_keys_have_no_dampers():
    score = replace(scale(), key=scale().key + 36)
    played = perform(score, np.random.default_rng(0), 5.0, expressive=False)
    last_strike = {key: i for i, key in enumerate(played.key)}
    endless = {int(played.key[i]) for i in last_strike.values() if np.isinf(played.release_s[i])}
    assert endless == {key for key in last_strike if key > 88}
    assert np.all(np.isfinite(played.release_s[played.key <= 88]))


def test_accompaniment_leaves_the_melody_and_adds_a_lower_hand():
    melody = 72 + np.array([0, 2, 4, 5] * 16)
    tune = replace(scale(kind="tune"), onset=np.arange(64.0), duration=np.ones(64), key=melody)
    arranged = accompany(tune, np.random.default_rng(0))
    assert len(arranged.onset) > len(tune.onset) + 30
    assert {(o, k) for o, k in zip(tune.onset, tune.key)} <= {(o, k) for o, k in zip(arranged.onset, arranged.key)}
    for seed in range(10):
        for kind in ("tune", "chorale", "ensemble", "keyboard"):
            key = arrange(replace(scale(), kind=kind), np.random.default_rng(seed)).key
            assert key.min() >= 21 and key.max() <= 108


def test_the_same_seed_makes_the_same_audio(stand_in_dir):
    def make(seed):
        instrument = Piano(*load_samples(stand_in_dir), np.random.default_rng(3))
        return render_file(instrument, [scale()], np.random.default_rng(seed), duration_s=6.0 + 3.0)[0]

    assert np.array_equal(make(1), make(1))
    assert not np.array_equal(make(1)[:1000], make(2)[:1000])


@pytest.mark.parametrize("seed", range(30))
def test_rooms_decay_and_colours_stay_mild(seed):
    rng = np.random.default_rng(seed)
    energy = room_response(rng) ** 2
    quarter = len(energy) // 4
    assert np.all(np.diff([energy[i * quarter : (i + 1) * quarter].sum() for i in range(4)]) < 0)
    assert np.abs(broad_eq_db(np.linspace(0, 11025, 500), rng)).max() <= 4.0


def split_scores():
    """Scores by made-up names, enough that the hash holds some of them out."""
    return [scale(f"anon/{i}") for i in range(60)]


def test_corpus_splits_by_score_and_resumes(stand_in_dir, tmp_path):
    scores = split_scores()
    arguments = {"seed": 0, "samples_dir": stand_in_dir, "scores": scores, "duration_s": 10.0}
    index = render_corpus(tmp_path, 21 * 10 / 3600, **arguments)
    sounding = {"train": set(), "heldout": set()}
    for name, entry in index["files"].items():
        sounding[name.split("/")[0]].update(entry["scores"])
        audio, rate = soundfile.read(tmp_path / name)
        assert rate == SAMPLE_RATE and audio.ndim == 1 and 0.1 < np.abs(audio).max() <= 0.51
    assert sounding["train"] and sounding["heldout"] and not sounding["train"] & sounding["heldout"]
    assert all(is_held_out(n) for n in sounding["heldout"])

    kept = tmp_path / "train/piano_00000.flac"
    (tmp_path / "train/piano_00001.flac").unlink()
    lost = soundfile.read(tmp_path / "train/piano_00002.flac")[0]
    before = kept.stat().st_mtime_ns
    (tmp_path / "train/piano_00002.flac").unlink()
    render_corpus(tmp_path, 3 * 10 / 3600, **arguments)
    assert kept.stat().st_mtime_ns == before
    assert np.array_equal(soundfile.read(tmp_path / "train/piano_00002.flac")[0], lost)
    assert len(json.loads((tmp_path / "index.json").read_text())["files"]) == 21


def test_a_file_that_fails_leaves_nothing_of_its_name(tmp_path, monkeypatch):
    def stopped(file, *args, **kwargs):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(piano_module.soundfile, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        piano_module._write_flac(tmp_path / "a.flac", np.zeros(10, np.float32))
    assert not (tmp_path / "a.flac").exists()
    with pytest.raises(ValueError, match="finite"):
        piano_module._write_flac(tmp_path / "b.flac", np.full(10, np.nan, np.float32))
    assert not list(tmp_path.glob("b.flac*"))


def test_a_folder_without_samples_is_named_in_the_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        load_samples(tmp_path)
