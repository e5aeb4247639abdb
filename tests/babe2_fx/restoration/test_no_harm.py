"""Sounds that no medium has changed come back as they were, whatever they are; with the embedded piano prior."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx import GenerativeEQ
from babe2_fx.audio.resampling import resample
from babe2_fx.catalogue.presets import load_preset
from babe2_fx.priors import PriorError, load_prior
from babe2_fx.restoration import Restorer
from babe2_fx.spectra import ltas, smooth_octave
from standin import tiny_prior

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
RATE = 22050
TIME_S = np.arange(8 * RATE) / RATE


def tone() -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 440 * TIME_S)


def flute() -> np.ndarray:
    """Notes of half a second with vibrato and breath, from 520 Hz to 2 kHz: nothing is played below."""
    rng, audio = np.random.default_rng(0), np.zeros_like(TIME_S)
    breath = rng.normal(size=len(TIME_S))
    for start_s in np.arange(0, 8, 0.5):
        pitch_hz = 523.25 * 2 ** (rng.integers(0, 24) / 12)
        local_s = np.clip(TIME_S - start_s, 0, 0.5)
        loud = np.sin(np.pi * local_s / 0.5) ** 0.5 * (0.6 + 0.4 * rng.random())
        phase = 2 * np.pi * pitch_hz * local_s + 0.15 * np.sin(2 * np.pi * 5.5 * local_s)
        partials = sum(10 ** (-0.4 * (k - 1)) * np.sin(k * phase) for k in range(1, int(10000 / pitch_hz)))
        audio += loud * (partials + 0.03 * breath)
    return 0.2 * audio


def drum_roll() -> np.ndarray:
    """Bursts of noise over a resonant head, 22 a second, swelling."""
    rng, audio = np.random.default_rng(1), np.zeros_like(TIME_S)
    for start_s in np.arange(0, 8, 0.045):
        local_s = TIME_S - start_s
        sounding = (local_s >= 0) & (local_s < 0.3)
        hit = rng.normal(size=sounding.sum()) * np.exp(-local_s[sounding] * 40)
        head = np.sin(2 * np.pi * 190 * local_s[sounding]) * np.exp(-local_s[sounding] * 25)
        audio[sounding] += (0.5 + 0.5 * np.sin(start_s)) * (0.4 * hit + head)
    return 0.1 * audio


def levels_db(audio: np.ndarray) -> np.ndarray:
    power = smooth_octave(ltas(torch.from_numpy(audio).float(), 2048, mirrored=False)).numpy()
    bins = np.unique(np.round(np.geomspace(10, 930, 20)).astype(int))  # third octaves from 108 Hz to 10 kHz
    return 10 * np.log10(power[bins] + 1e-20)


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    preset = load_preset("piano")
    return Restorer(load_prior(preset.prior_path), preset.settings("draft"))


@pytest.mark.parametrize("sound", [tone, flute, drum_roll])
def test_a_clean_sound_keeps_its_spectrum_and_its_level(restorer, sound):
    audio = sound().astype(np.float32)
    restored = restorer.restore(audio[None], RATE).audio[0]
    before, after = levels_db(audio), levels_db(restored)
    strong = before > before.max() - 35
    assert np.abs(after - before)[strong].max() < 1.5
    assert 20 * np.log10(restored.std() / audio.std()) == pytest.approx(0, abs=0.3)
    # Where it is fainter, nothing rises to where it would be heard.
    assert (after[~strong] < before.max() - 35 + 3).all()


@pytest.mark.parametrize("tones_hz", [[1000], [50], [440, 3150]])
def test_line_up_tones_come_back_as_they_were(restorer, tones_hz):
    """By themselves, in 16 bits: they were once given back 77 dB above full scale."""
    audio = sum(0.5 / len(tones_hz) * np.sin(2 * np.pi * hz * TIME_S[:3 * RATE]) for hz in tones_hz)
    audio = (np.round(audio * 32768) / 32768).astype(np.float32)[None]
    result = restorer.restore(audio, RATE)
    assert np.array_equal(result.audio, audio)
    assert result.notes[-1].startswith("The recording holds little but single tones")


def test_what_lies_above_the_band_of_the_preset_is_not_lost(restorer):
    """A tone of 15 kHz once came back 98 dB quieter, as the noise below it at the level of music."""
    rng = np.random.default_rng(0)
    audio = (0.3 * np.sin(2 * np.pi * 15000 * np.arange(88200) / 44100) + 1e-5 * rng.normal(size=88200))
    audio = audio.astype(np.float32)[None]
    result = restorer.restore(audio, 44100)
    assert np.array_equal(result.audio, audio)
    assert result.notes[-1] == ("Next to nothing in the recording lies below 11025 Hz, where the preset works; it "
                                "stays as it is.")


def test_noise_alone_comes_back_as_it_was(restorer):
    """It was once said to be music throughout, and its highs were taken away."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.normal(size=4 * RATE))
    pink = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 100) ** 0.5)
    for noise in (0.1 * rng.normal(size=4 * RATE), 0.1 * pink / pink.std(), rng.integers(-1, 2, 4 * RATE) / 32768):
        audio = noise.astype(np.float32)[None]
        result = restorer.restore(audio, RATE)
        assert np.array_equal(result.audio, audio)
        assert result.notes[-1] == "No music stands out from the noise of the recording; it was left as it is."


@pytest.mark.parametrize("duration_s", [0.01, 0.1])
def test_a_clip_gets_no_thump(restorer, duration_s):
    audio = flute()[None, RATE:RATE + round(duration_s * RATE)].astype(np.float32)
    restored = restorer.restore(audio, RATE).audio
    assert np.abs(restored).max() < 1.5 * np.abs(audio).max()
    assert 20 * np.log10(restored.std() / audio.std()) == pytest.approx(0, abs=1)


@pytest.mark.parametrize("excess", [30.0, 300.0])
def test_a_denoiser_gone_astray_cannot_make_it_loud(make_notes, excess):
    """The stand-in prior, from which far too much comes: no result is much louder than its recording."""
    prior = tiny_prior()
    denoise = prior.denoise
    prior.denoise = lambda x, sigma: excess * denoise(x, sigma)
    audio = make_notes(RATE, 3.0)
    effect = GenerativeEQ("piano", "draft", prior=prior, steps=3)
    restored = effect(audio, RATE)
    assert 20 * np.log10(restored.std() / audio.std()) < 3.5
    assert 20 * np.log10(np.abs(restored).max() / np.abs(audio).max()) < 10
    assert any("lowered" in note for note in effect.result.notes)


def test_a_denoiser_that_gives_no_numbers_is_an_error(make_notes):
    prior = tiny_prior()
    prior.denoise = lambda x, sigma: torch.full_like(x, torch.nan)
    with pytest.raises(PriorError, match="not finite"):
        GenerativeEQ("piano", "draft", prior=prior, steps=2)(make_notes(RATE, 1.0), RATE)


@pytest.mark.parametrize("earlier_hz, most_db", [(8000, 3), (11127, 6)])
def test_an_earlier_sample_rate_is_no_music_and_its_edge_gets_no_louder(restorer, earlier_hz, most_db):
    """What lies up to the edge was once lifted by 15 dB."""
    audio, rate = soundfile.read(EXAMPLES / "piano_78_clean.flac", dtype="float32", always_2d=True)
    audio = resample(torch.from_numpy(audio.T.copy()), rate, RATE)[:, :6 * RATE]
    lower = resample(audio, RATE, earlier_hz)
    for recording, rate in ((lower, earlier_hz), (resample(lower, earlier_hz, RATE), RATE)):
        result = restorer.restore(recording.numpy(), rate)
        heard = next(note for note in result.notes if note.startswith("Music stands out"))
        assert float(heard.split()[-2]) <= earlier_hz / 2
        low, high = (round(share * earlier_hz / 2 / (RATE / 2) * 1024) for share in (0.7, 0.95))
        before_db, after_db = (10 * np.log10(float(ltas(x, 2048, mirrored=False)[low:high].mean()))
                               for x in (audio, resample(torch.from_numpy(result.audio), rate, RATE)))
        assert after_db < before_db + most_db


def test_a_result_that_is_further_from_its_target_than_the_recording_is_pointed_out(make_notes):
    audio = make_notes(RATE, 3.0)
    effect = GenerativeEQ("piano", "draft", prior=tiny_prior(), steps=3)  # which knows nothing of music
    effect(audio, RATE)
    before, after = effect.ltas_distance_db
    said = [note for note in effect.result.notes if "further from the target" in note]
    assert bool(said) == (after > before + 1) and after > before + 1
