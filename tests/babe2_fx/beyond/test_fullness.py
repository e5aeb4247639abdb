"""Tones fill next to nothing of a spectrum, music fills most of it."""

import numpy as np
import pytest
import torch

from babe2_fx.beyond.fullness import FEWEST_OCTAVES, octaves_filled
from babe2_fx.spectra import ltas

RATE = 22050
TIME_S = np.arange(3 * RATE) / RATE


def octaves(audio) -> float:
    return octaves_filled(ltas(torch.as_tensor(audio, dtype=torch.float32), 2048, mirrored=False), RATE / 2)


@pytest.mark.parametrize("tones_hz", [[50], [100], [440], [1000], [3150], [10000], [697, 1209], [60, 7000]])
def test_tones_are_not_enough(tones_hz):
    tones = sum(0.2 * np.sin(2 * np.pi * hz * TIME_S) for hz in tones_hz)
    steps = 2.0 ** 15
    for audio in (tones, np.round(tones * steps) / steps):  # 16 bits without dither: distortion at -100 dB
        assert octaves(audio[None]) < FEWEST_OCTAVES


@pytest.mark.parametrize("duration_s", [0.05, 0.3, 4.0])
def test_music_is(make_notes, duration_s):
    assert octaves(make_notes(RATE, duration_s)) > 1.5 * FEWEST_OCTAVES


def test_white_noise_fills_all_there_is():
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 4 * RATE))
    assert octaves(noise) == pytest.approx(np.log2(RATE / 2 / 50), abs=1 / 12)
