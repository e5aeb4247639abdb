"""The denoising gain: where the best denoiser is known, it is measured to be that."""

import numpy as np
import pytest

from babe2_fx.errors import UserError
from babe2_fx.evaluation import denoising_gains_db
from babe2_fx.evaluation.denoising import LEVELS
from standin import tiny_prior


@pytest.fixture
def knows_white_noise(monkeypatch):
    """A prior whose music is white noise: its denoiser is a factor, the best there is for that."""
    prior = tiny_prior()
    monkeypatch.setattr(prior, "denoise", lambda x, sigma: x * prior.level ** 2 / (prior.level ** 2 + sigma ** 2))
    return prior


def test_of_white_music_both_gain_what_theory_says(knows_white_noise):
    prior = knows_white_noise
    music = np.random.default_rng(0).normal(0, 0.2, 6 * prior.block_length).astype(np.float32)
    results = denoising_gains_db(prior, music, prior.sample_rate)
    assert len(results) == 6 and [r["sigma"] for r in results] == sorted((r["sigma"] for r in results), reverse=True)
    for result, level in zip(results, LEVELS):
        theory = 10 * np.log10(1 + level ** 2)
        assert result["prior_db"] == pytest.approx(theory, abs=0.15)
        assert result["wiener_db"] == pytest.approx(theory, abs=0.35)


def test_of_coloured_music_the_wiener_filter_gains_more_than_a_factor(knows_white_noise, make_notes):
    prior = knows_white_noise
    results = denoising_gains_db(prior, make_notes(prior.sample_rate, 4.0)[0], prior.sample_rate)
    assert results[2]["wiener_db"] > results[2]["prior_db"] + 3


def test_the_same_seed_gives_the_same_figures_and_silence_none(make_notes):
    prior, music = tiny_prior(), make_notes(44100, 1.0)[0]
    assert denoising_gains_db(prior, music, 44100, 3) == denoising_gains_db(prior, music, 44100, 3)
    with pytest.raises(UserError, match="silent"):
        denoising_gains_db(prior, np.zeros(50000), 22050)
