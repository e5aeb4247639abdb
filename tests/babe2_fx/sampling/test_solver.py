"""The solver and its guidances on white Gaussian signals, whose posterior is known and best denoiser a factor."""

from functools import partial

import numpy as np
import pytest
import torch

from babe2_fx.beyond import DirectGuidance
from babe2_fx.operators import FixedFilter, Identity, Masked
from babe2_fx.progress import Run
from babe2_fx.sampling import GradientGuidance, draw_noise, solve
from babe2_fx.settings import Direct, Gradient, Solver
from babe2_fx.spectra import FILTER_BINS, apply_response, filter_frequencies

LENGTH, LEVEL = 40000, 0.063


class WhitePrior:
    """A stand-in for a trained prior: D(x, sigma) of white Gaussian signals, in closed form."""

    sigma_data = level = LEVEL

    def __call__(self, x, sigma):
        return x * LEVEL ** 2 / (LEVEL ** 2 + sigma ** 2)

    def band_limit(self, x):
        return x


def sample(operator, observed, initial, solver, seeds, guidance=Gradient()):
    """A run of the solver under a guidance, as `Settings` names it."""
    draw = partial(draw_noise, generators=[torch.Generator().manual_seed(s) for s in seeds])
    guide = DirectGuidance(WhitePrior(), operator, observed) if isinstance(guidance, Direct) else GradientGuidance(
        WhitePrior(), operator, observed, guidance.xi, guidance.noise_regularization, draw)
    return Run(solve(guide, initial, solver, draw))


@pytest.fixture(scope="module")
def clean():
    return LEVEL * torch.randn(1, LENGTH, generator=torch.Generator().manual_seed(3))


def lowpass(cutoff_hz=3000.0):
    return (1 / (1 + (filter_frequencies(22050) / cutoff_hz) ** 16)).float()


def band_power(x, low_hz, high_hz):
    spectrum = torch.fft.rfft(x).abs().square()
    hz = torch.fft.rfftfreq(x.shape[-1], 1 / 22050)
    return float(spectrum[..., (hz >= low_hz) & (hz < high_hz)].mean() / x.shape[-1])


@pytest.mark.parametrize("guidance", [Direct(), Gradient(xi=1.0, noise_regularization=0.0)])
def test_samples_keep_what_was_observed_and_make_what_was_not(clean, guidance):
    operator = FixedFilter(lowpass(), noise=1e-5 * LEVEL ** 2)
    observed = operator.apply(clean)
    made = sample(operator, observed, observed, Solver(steps=30), [1], guidance).finish()
    kept = (operator.apply(made) - observed).norm() / observed.norm()
    assert kept < 0.1
    # Above the cutoff nothing was seen: there the sample has the prior's own power, and not the clean signal's phase.
    assert 10 * np.log10(band_power(made, 5000, 10000) / LEVEL ** 2) == pytest.approx(0, abs=1.5)
    assert band_power(made - clean, 5000, 10000) > 1.2 * LEVEL ** 2


def test_without_guidance_samples_have_the_priors_power(clean):
    made = sample(FixedFilter(torch.ones(FILTER_BINS)), clean, 0 * clean, Solver(steps=30), [1],
                  Gradient(xi=0.0, noise_regularization=0.0)).finish()
    assert 10 * np.log10(float(made.square().mean()) / LEVEL ** 2) == pytest.approx(0, abs=1.0)


def test_a_row_does_not_depend_on_its_batch(clean):
    operator, solver = FixedFilter(lowpass()), Solver(steps=4)
    pair = torch.cat([clean, clean.flip(-1)])
    observed = operator.apply(pair)
    both = sample(operator, observed, observed, solver, [1, 2]).finish()
    second = sample(operator, observed[1:], observed[1:], solver, [2]).finish()
    assert float((both[1:] - second).abs().max()) < 1e-4 * float(second.abs().max())


def test_steps_are_reported_one_by_one_and_can_be_cancelled(clean):
    run = sample(FixedFilter(lowpass()), clean, clean, Solver(steps=5), [1], Direct())
    first = next(run)
    assert first.step == 1 and first.sigma == pytest.approx(0.5) and first.denoised.shape == clean.shape
    run.close()
    steps = list(sample(FixedFilter(lowpass()), clean, clean, Solver(steps=5), [1], Direct()))
    assert [s.step for s in steps] == [1, 2, 3, 4, 5]
    assert np.all(np.diff([s.sigma for s in steps]) < 0)


def test_noise_is_each_rows_own():
    first, second, again = (torch.Generator().manual_seed(seed) for seed in (1, 2, 2))
    rows = draw_noise(torch.zeros(2, 100), [first, second])
    assert torch.equal(rows[1:], draw_noise(torch.zeros(1, 100), [again]))


def test_overlap_is_observed_as_it_is_and_the_rest_through_the_filter(clean):
    inner, overlap = FixedFilter(lowpass(), noise=1e-5 * LEVEL ** 2), 8000
    operator = Masked(torch.arange(LENGTH) < overlap, Identity(), inner)
    observed = operator.apply(clean)
    assert torch.equal(observed[..., :overlap], clean[..., :overlap])
    assert torch.equal(observed[..., overlap:], inner.apply(clean)[..., overlap:])
    made = sample(operator, observed, observed, Solver(steps=30), [1], Direct()).finish()
    error = (made - clean)[..., :overlap - 3000].norm() / clean[..., :overlap - 3000].norm()
    assert error < 0.1


def test_direct_inverse_is_the_posterior_mean_of_white_signals(clean):
    response = lowpass()
    noise, variance = 0.01 ** 2, LEVEL ** 2
    observed = apply_response(clean, response) + noise ** 0.5 * torch.randn(clean.shape)
    mean = FixedFilter(response, noise).invert(observed, variance)
    gain = torch.fft.rfft(mean).abs().mean() / torch.fft.rfft(clean).abs().mean()
    assert 0.2 < gain < 0.5  # about the share of the band that is seen
    assert band_power(mean, 6000, 11000) < 1e-3 * variance
