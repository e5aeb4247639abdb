"""The synthesised singer against what is known of singers: source, formants, vibrato, noise, range, split."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from scipy.signal import find_peaks, welch

from babe2_fx.training.voice import FRAME_RATE, HOP, SAMPLE_RATE
from babe2_fx.training.voice.corpus import render_corpus, sing_file
from babe2_fx.training.voice.gestures import perform
from babe2_fx.training.voice.glottis import RD_GRID, lf_harmonics, lf_parameters, open_quotient
from babe2_fx.training.voice.melodies import Melody, is_held_out, load_melodies, split_melodies
from babe2_fx.training.voice.phrasing import Line, join, phrase_melody
from babe2_fx.training.voice.pitch import pitch_track
from babe2_fx.training.voice.recording import room_response
from babe2_fx.training.voice.singer import RANGES, draw_singer
from babe2_fx.training.voice.synthesis import Tracks, burst_noise, synthesise
from babe2_fx.training.voice.tract import FORMANTS, bandwidths, tract_response, vowel_formants
from babe2_fx.training.voice.vocalises import draw_vocalise


def average_singer(voice):
    """A singer whose formants are the tables' and who sings in tune."""
    singer = draw_singer(voice, np.random.default_rng(0))
    singer = replace(singer, tract_scale=1.0, formant_scale=np.ones(FORMANTS), width_scale=1.0, ring=0.6)
    return replace(singer, rd_soft=1.9, rd_loud=0.5, scoop=0.0, tuning_cents=0.0)


def tones(key, effort=0.6, length_s=3.0, vowel="a"):
    """A `Line` of separate plain tones, one for every key (or effort)."""
    key, effort = np.broadcast_arrays(np.atleast_1d(key), np.atleast_1d(effort))
    count = len(key)
    start = 0.7 + np.arange(count) * (length_s + 0.7)
    none = np.zeros(count, bool)
    return Line(start, start + length_s, key.copy(), np.arange(count), effort.astype(float), np.zeros(count),
                [(vowel, None, 0.0)] * count, [""] * count, none, none, np.zeros(count, int))  # fmt: skip


def steady(voice, f0_hz, vowel="a", rd=0.7, frames=1000):
    """`Tracks` that do not move at all; `f0_hz` may be an array of their frames."""
    formants = np.tile(vowel_formants(voice, vowel), (frames, 1))
    one = np.ones(frames)
    return Tracks(voice, f0_hz * one, one, rd * one, one, formants, bandwidths(formants))


def melody(name, key, quarters=1.0, kind="air"):
    key = np.asarray(key)
    return Melody(name, kind, np.arange(len(key)) * quarters, np.full(len(key), quarters), key)


def band_db(audio, low_hz, high_hz):
    hz, power = welch(audio, SAMPLE_RATE, nperseg=2048)
    return 10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].mean())


# ---------------------------------------------------------------------------------------------------- source


@pytest.mark.parametrize("rd", [0.4, 0.7, 1.0, 1.5, 2.5])
def test_glottal_pulse_is_closed_and_peaks_at_minus_one(rd):
    _, te, _, _, _ = lf_parameters(rd)
    t = np.linspace(0, 1, 4000, endpoint=False)
    harmonics = lf_harmonics(rd, 1500)
    pulse = np.real(np.exp(2j * np.pi * np.outer(t - te, np.arange(1, 1501))) @ harmonics)
    assert pulse.min() == pytest.approx(-1, abs=0.02)
    assert abs(t[np.argmin(pulse)] - te) < 0.005
    # Harmonics have no constant part: that the pulse starts from 0 says that the flow returns to where it began.
    assert abs(pulse[0]) < 0.01


def test_open_quotient_and_slope_cover_what_singers_do():
    # Open for 0.5 to 0.8 of the cycle; the flow falls by 9 dB an octave when pressed, by 15 when relaxed.
    assert open_quotient(0.55) == pytest.approx(0.5, abs=0.05)
    assert open_quotient(1.4) == pytest.approx(0.8, abs=0.05)
    slopes = []
    for rd in RD_GRID:
        level_db = 20 * np.log10(np.abs(lf_harmonics(rd, 16)))
        slopes.append((level_db[15] - level_db[0]) / 4 - 6.02)  # the flow, not its derivative
    assert np.all(np.diff(slopes) < 0.1)  # softer is steeper
    assert -10 < slopes[0] < -7
    assert np.interp(1.0, RD_GRID, slopes) == pytest.approx(-15, abs=1)


# --------------------------------------------------------------------------------------------------- formants


def test_one_formant_has_its_frequency_and_width():
    hz = np.arange(1, 5000.0)[None]
    far = np.full((1, FORMANTS), 1e6)
    far[0, 0] = 1500
    gain = np.abs(tract_response(hz, far, np.full((1, FORMANTS), 100.0)))[0]
    above = hz[0][gain > gain.max() / np.sqrt(2)]
    assert hz[0][np.argmax(gain)] == pytest.approx(1500, abs=3)
    assert above[-1] - above[0] == pytest.approx(100, abs=3)


@pytest.mark.parametrize("vowel", ["a", "e", "i"])
def test_tenor_tone_has_its_vowels_formants(vowel):
    # The harmonics of a tone that glides over an octave visit every frequency: the LTAS is the envelope.
    f0_hz = np.geomspace(75, 150, 4000)
    hz, power = welch(synthesise(steady("tenor", f0_hz, vowel, frames=4000), None), SAMPLE_RATE, nperseg=8192)
    smooth = np.convolve(10 * np.log10(power), np.hanning(31) / np.hanning(31).sum(), "same")
    peaks = hz[find_peaks(smooth, prominence=1)[0]]
    for formant in vowel_formants("tenor", vowel)[:3]:
        assert np.abs(peaks / formant - 1).min() < 0.09, (formant, peaks)


def test_singers_formant_grows_faster_than_the_voice():
    singer = average_singer("tenor")
    ring = []
    for effort in (0.2, 0.9):
        rng = np.random.default_rng(1)  # the same accidents both times
        audio = synthesise(perform(tones([57, 60, 62], effort), singer, rng, 12.0), rng)
        strongest_db = max(band_db(audio, a, a + 200) for a in range(200, 900, 100))
        ring.append(band_db(audio, 2400, 3300) - strongest_db)
    assert ring[1] > ring[0] + 6
    assert -26 < ring[1] < -8  # of loud singing: 15 to 20 dB below the strongest band


@pytest.mark.parametrize("vowel", ["a", "e", "i", "o", "u"])
def test_soprano_tunes_her_first_formant_to_high_notes(vowel):
    rng = np.random.default_rng(2)
    tracks = perform(tones([77, 81, 84], vowel=vowel), average_singer("soprano"), rng, 12.0)
    sounding = tracks.level > 0.5 * tracks.level.max()
    ratio = (tracks.formants[:, 0] / tracks.f0_hz)[sounding]
    assert ratio.min() > 0.97  # about the note or above
    high = sounding & (tracks.f0_hz > 900)
    assert (tracks.formants[:, 0] / tracks.f0_hz)[high].max() < 1.2  # no vowel has its own any more
    low = perform(tones([62], vowel=vowel), average_singer("soprano"), rng, 4.0)
    written = vowel_formants("soprano", vowel)[0]
    assert np.median(low.formants[:, 0]) == pytest.approx(max(written, 1.05 * 293.7), rel=0.12)


# ----------------------------------------------------------------------------------------------- pitch, noise


def test_vibrato_is_a_singers_and_not_a_machines():
    rates, extents, spreads = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        singer = draw_singer(["tenor", "soprano"][seed % 2], rng)
        line = tones([68] * 3, length_s=4.0)
        key = pitch_track(line, singer, rng, int(15 * FRAME_RATE))
        for start in line.start_s:
            swing = key[int((start + 1) * FRAME_RATE):int((start + 3.9) * FRAME_RATE)]
            swing = swing - np.convolve(swing, np.ones(80) / 80, "same")
            swing = np.convolve(swing, np.hanning(25) / np.hanning(25).sum(), "same")[60:-60]
            rising = np.flatnonzero((swing[:-1] < 0) & (swing[1:] >= 0))
            at = rising - swing[rising] / (swing[rising + 1] - swing[rising])
            cycles = np.diff(at) / FRAME_RATE
            rates.append(1 / np.median(cycles))
            extents.append(100 * 2 * np.sqrt(2) * swing.std())
            spreads.append(cycles.std() / cycles.mean())
    assert 4.7 < min(rates) and max(rates) < 7.0 and 5.3 < np.median(rates) < 6.3
    assert 50 < np.median(extents) < 110 and max(extents) < 180
    assert np.std(extents) > 10  # no two notes are alike
    assert 0.02 < np.median(spreads) < 0.1  # nor two cycles


def test_breath_is_as_far_below_the_voice_as_asked_and_pulses_with_it():
    for voice in ("tenor", "soprano"):
        rng = np.random.default_rng(3)
        singer = draw_singer(voice, rng)
        assert -40 <= singer.breath_db <= -20
        tracks = replace(perform(tones([62, 65]), singer, rng, 8.0), bursts=[])
        clean = synthesise(tracks, None)
        noise = synthesise(tracks, rng, singer.breath_db) - clean
        voiced = np.repeat(tracks.level > 0.3 * tracks.level.max(), HOP)
        ratio_db = 20 * np.log10(noise[voiced].std() / clean[voiced].std())
        assert ratio_db == pytest.approx(singer.breath_db, abs=0.5)
    tracks = steady("tenor", 150.0, frames=2000)
    noise = synthesise(tracks, np.random.default_rng(0), -30) - synthesise(tracks, None)
    envelope = np.abs(np.fft.rfft(np.hanning(len(noise)) * noise**2))
    hz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    pulse = envelope[np.abs(hz - 150) < 1].max()
    assert pulse > 4 * np.median(envelope[(hz > 100) & (hz < 250)])


@pytest.mark.parametrize("voice, f0_hz", [("tenor", 196.3), ("soprano", 911.7)])
def test_nothing_sounds_between_the_harmonics(voice, f0_hz):
    audio = synthesise(steady(voice, f0_hz, rd=0.4), None).astype(float)
    window = np.blackman(len(audio)) ** 2  # side lobes below -110 dB
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(audio * window)) + 1e-12)
    hz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    distance = np.abs(hz - f0_hz * np.maximum(np.round(hz / f0_hz), 1))
    assert spectrum[distance > 10].max() < spectrum.max() - 100


def test_spectrum_grows_flatter_when_louder():
    singer, slopes = average_singer("soprano"), []
    for effort in (0.15, 0.5, 0.95):
        rng = np.random.default_rng(5)
        audio = synthesise(perform(tones([67, 69], effort), singer, rng, 8.0), rng)
        slopes.append((band_db(audio, 4800, 6400) - band_db(audio, 300, 1600)) / 3)
    assert slopes[0] + 0.5 < slopes[1] and slopes[1] + 1 < slopes[2]
    assert -26 < slopes[0] and slopes[2] < -8  # dB per octave


def test_consonants_are_heard_where_they_belong():
    rng = np.random.default_rng(6)
    line = tones([60, 62, 64], length_s=0.8)
    line = replace(line, consonant=["s", "l", "p"])
    tracks = perform(line, average_singer("tenor"), rng, 6.0)
    assert len(tracks.bursts) == 2  # an l has no noise
    hiss, pop = tracks.bursts
    assert hiss.start_s < line.start_s[0] < hiss.start_s + hiss.duration_s + 0.05
    assert pop.duration_s < 0.04 < hiss.duration_s
    noise = burst_noise(hiss, rng)
    assert band_db(noise, 5000, 8500) > band_db(noise, 500, 2500) + 15


# --------------------------------------------------------------------------------------------------- melodies


@pytest.mark.parametrize("voice", ["tenor", "soprano"])
def test_melodies_stay_in_the_voices_range(voice):
    lowest, highest = RANGES[voice]
    for seed in range(12):
        rng = np.random.default_rng(seed)
        singer = draw_singer(voice, rng)
        song = melody("x/y", 60 + np.cumsum(rng.integers(-4, 5, 60)) % (36 if seed % 2 else 17))
        for tune in (song, draw_vocalise(rng)):
            line = phrase_melody(tune, singer, rng, 20.0)
            assert lowest <= line.key.min() and line.key.max() <= highest
            assert np.all(line.end_s > line.start_s) and np.all(np.diff(line.start_s) > 0)
            assert line.end_s[-1] < 20 and (line.end_s - line.start_s).max() < 7
            tracks = perform(line, singer, rng, 20.0)
            sung = tracks.f0_hz[tracks.level > 0]
            edge = 2 ** (4 / 12)
            assert sung.min() > 440 * 2 ** ((lowest - 69) / 12) / edge
            assert sung.max() < 440 * 2 ** ((highest - 69) / 12) * edge


def test_a_line_breathes_and_its_words_keep_their_vowel_through_a_slur():
    rng = np.random.default_rng(8)
    line = phrase_melody(melody("x/y", [60, 62, 64, 65] * 20), draw_singer("tenor", rng), rng, 60.0)
    gaps = line.start_s[1:] - line.end_s[:-1]
    new = np.diff(line.phrase) > 0
    assert new.sum() >= 2 and gaps[new].min() > 0.1
    assert np.all(gaps[~new] < 0.05)
    for i in np.flatnonzero(line.slurred):
        assert line.vowel[i] == line.vowel[i - 1] and line.consonant[i] == ""
    two = join([(line, 0.0), (line, 100.0)])
    assert len(two.key) == 2 * len(line.key) and two.phrase[-1] == 2 * line.phrase[-1] + 1
    assert np.all(np.diff(two.start_s) > 0) and len(two.vowel) == len(two.key)


def test_a_tune_shared_with_a_held_out_work_is_held_out():
    names = [f"work/{n}" for n in range(4000)]
    share = np.mean([is_held_out(n) for n in names])
    assert share == pytest.approx(0.05, abs=0.012)
    out = next(n for n in names if is_held_out(n))
    kept = [n for n in names if not is_held_out(n)][:3]
    tune, other = [60, 62, 64, 65, 67, 69, 67, 65, 64, 62], [60, 67, 60, 65, 59, 60, 64, 62, 61, 60]
    melodies = [melody(out, tune), melody(kept[0], np.array(tune) + 5)]
    melodies += [melody(kept[1], other), melody(kept[2] + "#1", other)]
    split = split_melodies(melodies)
    assert [m.name for m in split["heldout"]] == [out, kept[0]]
    assert [m.name for m in split["train"]] == [kept[1], kept[2] + "#1"]
    assert is_held_out(out + "#2")  # every part of a work goes the same way


def test_corpus_melody_is_the_written_one(tmp_path, monkeypatch):
    pytest.importorskip("music21")
    monkeypatch.setattr("babe2_fx.training.voice.melodies.SOURCES", {"song": [("verdi/", 1)]})
    for _ in range(2):  # parsed, then from the cache
        (song,) = load_melodies(tmp_path)
        assert song.name == "verdi/laDonnaEMobile" and song.kind == "song"
        # "La donna e mobile, qual piuma al vento": each line three equal notes, then down from the dotted one
        assert list(np.diff(song.key[:12])) == [0, 0, 3, -2, -3, 0, 0, 0, 3, -1, -4]
        assert np.all(song.duration > 0) and np.all(np.diff(song.onset) > 0)


# ------------------------------------------------------------------------------------------------------ files


def test_room_reverberates_as_long_as_asked():
    response = room_response(1.4, np.random.default_rng(0)).astype(float)
    energy = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1])
    at = [np.argmax(energy < level) / SAMPLE_RATE for level in (-5, -25)]
    assert 3 * (at[1] - at[0]) == pytest.approx(1.4, rel=0.3)
    assert np.sum(response**2) == pytest.approx(1, abs=1e-3)


@pytest.fixture(scope="module")
def songs():
    names = [f"tune/{n}" for n in range(200)]
    out = next(n for n in names if is_held_out(n))
    kept = [n for n in names if not is_held_out(n)][:3]
    rng = np.random.default_rng(9)
    return [melody(n, 60 + np.cumsum(rng.integers(-3, 4, 50)) % 13) for n in (out, *kept)]


@pytest.mark.parametrize("voice", ["tenor", "soprano"])
def test_a_file_has_a_singers_long_term_spectrum(voice, songs):
    spectra = []
    for seed in range(6):
        audio, _ = sing_file(voice, songs, np.random.default_rng(seed), 12.0)
        assert audio.dtype == np.float32 and np.isfinite(audio).all() and 0.05 < np.abs(audio).max() < 0.9
        hz, power = welch(audio / audio.std(), SAMPLE_RATE, nperseg=2048)
        spectra.append(power)
    mean = 10 * np.log10(np.mean(spectra, axis=0))
    smooth = np.convolve(mean, np.ones(9) / 9, "same")

    def level(low, high):
        return smooth[(hz >= low) & (hz < high)].mean()

    peak_hz = hz[np.argmax(smooth)]
    if voice == "tenor":
        assert 250 < peak_hz < 800
        ring = smooth[(hz > 2400) & (hz < 3400)].max() - smooth.max()
        assert -28 < ring < -6
        assert level(2500, 3200) > level(1700, 2200) + 3  # a second peak, not a slope
        assert level(2500, 3200) > level(4500, 5500) + 12
    else:
        assert 350 < peak_hz < 1100
        assert -45 < level(2500, 4000) - smooth.max() < -15
    assert -75 < level(8000, 10000) - smooth.max() < -35
    assert level(20, 60) < smooth.max() - 40


def test_files_repeat_and_never_mix_the_splits(tmp_path, songs):
    index = render_corpus(tmp_path / "one", "soprano", 11 * 9 / 3600, 4, songs, duration_s=9.0)
    assert len(index["files"]) == 11
    held_out = {m.name for m in split_melodies(songs)["heldout"]}
    trained = {m.name for m in split_melodies(songs)["train"]}
    for name, entry in index["files"].items():
        audio, rate = soundfile.read(tmp_path / "one" / name)
        assert rate == SAMPLE_RATE and audio.ndim == 1
        assert len(audio) / rate == pytest.approx(entry["duration_s"], abs=0.01)
        allowed = held_out if name.startswith("heldout/") else trained
        assert set(entry["melodies"]) <= allowed | {"vocalise"}
    assert sum(name.startswith("heldout/") for name in index["files"]) == 1
    assert json.loads((tmp_path / "one" / "index.json").read_text()) == index
    assert "music21" in (tmp_path / "one" / "CREDITS").read_text()

    again = render_corpus(tmp_path / "two", "soprano", 9 / 3600, 4, songs, duration_s=9.0)
    (name,) = again["files"]
    first, second = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
    assert first == second
    other = render_corpus(tmp_path / "three", "soprano", 9 / 3600, 5, songs, duration_s=9.0)
    assert (tmp_path / "three" / next(iter(other["files"]))).read_bytes() != first


def test_an_unknown_voice_is_named():
    with pytest.raises(ValueError, match="no voice 'alto'.*tenor, soprano"):
        draw_singer("alto", np.random.default_rng(0))
