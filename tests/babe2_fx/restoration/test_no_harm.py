"""Sounds that no medium has changed come back as they were, whatever they are; with the embedded piano prior."""

import numpy as np
import pytest
import torch

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.priors import load_prior
from babe2_fx.restoration import Restorer
from babe2_fx.spectra import ltas, smooth_octave

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
