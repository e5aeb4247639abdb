"""Changes of the sample rate, between rates of any ratio."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from babe2_fx.audio import resampling
from babe2_fx.audio.resampling import resample

RATES = [(44100, 22050), (48000, 22050), (96000, 22050), (22050, 96000), (44056, 22050), (22050, 44056),
         (44099, 22050), (47999, 44100), (44100 / 1.001, 22050), (22050, 44100 / 1.001), (44100.5, 48000),
         (8000, 192000), (191999, 8000)]


def tone(hz, rate, samples):
    return torch.from_numpy(np.sin(2 * np.pi * hz * np.arange(samples) / rate).astype(np.float32))[None]


@pytest.mark.parametrize("source_hz, target_hz", RATES)
def test_a_tone_stays_where_it_is(source_hz, target_hz, monkeypatch):
    """Aligned to the sample from the beginning to the end, in chunks or not, also where rates are no whole numbers."""
    samples = 4 * int(source_hz) + 1
    length = math.ceil(samples * target_hz / source_hz)
    for chunk in (resampling.CHUNK, 1 << 14):
        monkeypatch.setattr(resampling, "CHUNK", chunk)
        made = resample(tone(1000, source_hz, samples), source_hz, target_hz)
        assert made.shape == (1, length) and made.dtype == torch.float32
        wrong = (made - tone(1000, target_hz, length))[:, 2000:-2000]
        assert wrong.abs().max() < 3e-5


@pytest.mark.parametrize("source_hz, target_hz", [(44100, 22050), (44056, 22050), (96000, 22050), (22050, 44056)])
def test_the_band_is_kept_and_nothing_is_heard_of_what_would_alias(source_hz, target_hz):
    def level_db(share):
        made = resample(tone(share * lower, source_hz, source_hz), source_hz, target_hz)
        return 10 * float(made[:, 4000:-4000].square().mean().log10()) + 3.01
    lower = min(source_hz, target_hz) / 2
    assert level_db(0.5) == pytest.approx(0, abs=0.01) and level_db(0.9) == pytest.approx(0, abs=0.02)
    if source_hz > target_hz:
        assert all(level_db(share) < -140 for share in (1.002, 1.05, 1.5))


def test_shapes_and_types_are_kept_and_every_channel_is_its_own(make_notes):
    audio = torch.from_numpy(make_notes(44100, 0.2, channels=2)).double()
    made = resample(torch.stack([audio, -audio, 2 * audio]), 44100, 16000)
    assert made.shape == (3, 2, 3200) and made.dtype == torch.float64
    assert torch.equal(made[1], -made[0]) and torch.allclose(made[0, 1], resample(audio[1], 44100, 16000))
    assert resample(audio, 44100, 44100) is audio and resample(audio[:, :0], 44100, 16000).shape == (2, 0)
    for samples in (1, 2, 3, 10):  # next to nothing
        assert resample(audio[:, :samples], 44100, 22050).shape == (2, -(-samples // 2))
        assert resample(audio[:, :samples], 16000, 48000).shape == (2, 3 * samples)


@pytest.mark.parametrize("source_hz, target_hz", [(math.nan, 22050), (22050, math.nan), (math.inf, 22050), (0, 22050),
                                                  (22050, 0), (-44100, 22050), (22050, 1), (8, 22050), (1e9, 22050)])
def test_rates_that_are_none_and_endless_ratios_are_refused(source_hz, target_hz):
    with pytest.raises(ValueError, match="sample rates must be"):
        resample(torch.zeros(1, 1000), source_hz, target_hz)


def test_rates_without_a_common_divisor_cost_no_more_than_others():
    """Once 4 GB: a filter for each of 22,050 phases."""
    pytest.importorskip("resource", reason="this system does not tell how much memory was used")
    script = ("import resource, soxr, torch; from babe2_fx.audio.resampling import resample;"
              "x = torch.zeros(1, 44056 * 20);"
              "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
              "resample(resample(x, 44056, 22050), 22050, 44056);"
              "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)")
    used = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert used / (1e6 if sys.platform == "darwin" else 1e3) < 100  # MB; getrusage counts in bytes there
