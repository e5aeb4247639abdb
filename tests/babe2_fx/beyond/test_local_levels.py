"""What the level model is told about a recording, and how its answer gets onto the constant-Q transform."""

import numpy as np
import pytest
import torch

from babe2_fx.beyond import LocalLevels
from babe2_fx.priors import load_prior
from babe2_fx.priors.levels import Levels
from babe2_fx.spectra import FILTER_BINS, filter_frequencies
from babe2_fx.spectra.cells import cells, fine_centres_hz

RATE, LENGTH = 22050, 65536


class Told:
    """Stands in for the model: keeps what it is told, and believes all of it."""

    def __call__(self, level_db, known, noise_db):
        self.level_db, self.known, self.noise_db = level_db, known, noise_db
        return Levels(level_db, torch.full_like(level_db, -100.0))


@pytest.fixture
def asked():
    prior = load_prior("piano")
    levels = LocalLevels(prior, LENGTH)
    levels.model = Told()
    return prior, levels


def decided(limit_hz):
    return (filter_frequencies(RATE) < limit_hz).double()


def test_white_noise_gets_its_own_variance_back_on_every_octave(asked):
    prior, levels = asked
    x = 0.2 * torch.randn(2, LENGTH, generator=torch.Generator().manual_seed(0))
    found = levels(x, decided(2e4), torch.zeros(FILTER_BINS))
    cqt = prior.network.transform(LENGTH)
    assert [v.shape for v in found] == [o.shape for o in cqt(x)]
    for variance in found[4:]:  # below, cells have few bins, and their mean level lies below that of their mean power
        assert float(variance.log().mean().exp()) == pytest.approx(0.04, rel=0.2)


def test_a_burst_keeps_its_place_in_time_and_frequency(asked):
    prior, levels = asked
    x = torch.zeros(1, LENGTH)
    x[:, 30000:34096] = torch.sin(2 * torch.pi * 2000 * torch.arange(4096) / RATE) * torch.hann_window(4096)
    found, cqt = levels(x, decided(2e4), torch.zeros(FILTER_BINS)), prior.network.transform(LENGTH)
    octave = int(np.argmax([float(v.max()) for v in found]))
    band, frame = divmod(int(found[octave].argmax()), found[octave].shape[-1])
    assert abs(np.log2(float(cqt.centre_hz[octave][band]) / 2000)) < 1 / 24
    assert abs(frame * LENGTH / found[octave].shape[-1] - 32048) < 1024


def test_the_model_hears_audio_not_the_priors_domain(asked):
    prior, levels = asked
    x = 0.1 * torch.randn(1, LENGTH, generator=torch.Generator().manual_seed(0))
    levels(prior.emphasis.apply(x), decided(2e4), torch.zeros(FILTER_BINS))
    plain = 10 * cells(x).log10()
    difference = (levels.model.level_db - plain)[..., 36:]  # up to the reference level
    assert float((difference - difference.mean()).abs().quantile(0.95)) < 1.0


def test_what_is_not_decided_is_not_known_and_levels_are_relative_to_what_is(asked):
    _, levels = asked
    x = 0.2 * torch.randn(1, LENGTH, generator=torch.Generator().manual_seed(0))
    levels(x, decided(3000), torch.full((FILTER_BINS,), 4e-4))
    known = levels.model.known[0, :, 0].bool()
    hz = fine_centres_hz()[1::3]
    assert not known[hz > 3100].any() and known[(hz > 100) & (hz < 2900)].all()
    fine = known.repeat_interleave(3)
    assert float((10 ** (levels.model.level_db[:, fine] / 10)).mean()) == pytest.approx(1.0, rel=1e-3)
    noise = levels.model.noise_db[0, :, 0]
    assert float(noise[known].min()) > -40 and torch.allclose(noise[~known], noise[known].mean())


def test_nothing_known_is_no_answer(asked):
    _, levels = asked
    assert levels(torch.ones(1, LENGTH), torch.zeros(FILTER_BINS), torch.zeros(FILTER_BINS)) is None
