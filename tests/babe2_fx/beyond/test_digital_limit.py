"""Recordings that end by digital means, and those that only fall off."""

import numpy as np
import pytest
import torch

from babe2_fx.audio.resampling import resample
from babe2_fx.beyond.digital_limit import digital_limit_hz
from babe2_fx.spectra import ltas

RATE = 22050


def limit_of(audio) -> float:
    return digital_limit_hz(ltas(torch.as_tensor(audio, dtype=torch.float32), 2048, mirrored=False), RATE / 2)


def hiss(level: float) -> np.ndarray:
    return level * np.random.default_rng(5).normal(size=(1, 8 * RATE))


@pytest.mark.parametrize("earlier_hz", [6000, 8000, 11025, 16000])
@pytest.mark.parametrize("noise", [0, 1e-3])
def test_an_earlier_sample_rate_is_found(make_notes, earlier_hz, noise):
    audio = torch.from_numpy((make_notes(RATE, 8.0) + hiss(noise)).astype(np.float32))
    raised = resample(resample(audio, RATE, earlier_hz), earlier_hz, RATE)
    assert 0.9 * earlier_hz / 2 < limit_of(raised) <= earlier_hz / 2


def test_a_steep_medium_has_no_digital_limit(make_notes):
    """Eighty decibels an octave, the steepest of horns and the outer slope of Eq. 18, over hiss."""
    audio = make_notes(RATE, 8.0) + hiss(0.01)
    hz = np.fft.rfftfreq(audio.shape[1], 1 / RATE)
    gain_db = -80 * np.log2(np.maximum(hz, 1) / 3000).clip(0)
    fallen = np.fft.irfft(np.fft.rfft(audio) * 10 ** (gain_db / 20), audio.shape[1])
    for floor in (0, 1e-5):
        assert limit_of(fallen + hiss(floor)) == RATE / 2


def test_music_and_noise_have_none(make_notes):
    for audio in (make_notes(RATE, 8.0), hiss(0.1), np.zeros((1, 4 * RATE))):
        assert limit_of(audio) == RATE / 2
