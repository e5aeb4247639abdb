"""What is made of noisy spots and of highs that a recording does not hold; the real prior where its ear is needed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import stft

from babe2_fx import GenerativeEQ
from babe2_fx.beyond import Completion, LocalLevels
from babe2_fx.catalogue.presets import load_preset
from babe2_fx.operators import FixedFilter, Identity, Masked
from babe2_fx.priors import load_prior
from babe2_fx.restoration import Restorer
from babe2_fx.spectra import FILTER_BINS, filter_frequencies

RATE, LENGTH, EXAMPLES = 22050, 65536, Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def prior():
    return load_prior("piano")


@pytest.fixture(scope="module")
def cqt(prior):
    return prior.network.transform(LENGTH)


def tone(hz, level=0.1):
    return level * torch.sin(2 * torch.pi * hz * torch.arange(LENGTH) / RATE)[None]


def levels(x):
    """Amplitudes of the tones in x, (bins,), and their frequencies."""
    window = torch.hann_window(LENGTH)
    return torch.fft.rfft(x[0] * window).abs() * 4 / LENGTH, torch.fft.rfftfreq(LENGTH, 1 / RATE)


def test_noise_is_not_heard_and_tones_in_it_are(prior, cqt):
    noise = 0.01 * torch.randn(1, LENGTH, generator=torch.Generator().manual_seed(0))
    alone, both = (Completion(prior, torch.ones(1025), torch.full((FILTER_BINS,), 1e-4), x).heard
                   for x in (noise, noise + tone(1200.0, 0.02)))
    hz = torch.stack([*cqt.centre_hz])
    at_tone = [(hz[i] / 1200.0).log2().abs() < 0.01 for i in range(len(hz))]
    assert all(float(spots.mean()) < 0.15 for spots in alone)
    assert float(torch.cat([spots[0, near].flatten() for spots, near in zip(both, at_tone)]).mean()) > 0.8
    assert [spots.shape for spots in both] == [octave.shape for octave in cqt(noise)]


def test_what_the_recording_decides_stays(prior, cqt):
    x, other = (cqt.band_limit(tone(hz)) for hz in (700.0, 1900.0))
    completion = Completion(prior, torch.ones(1025), torch.full((FILTER_BINS,), 1e-12), x, LocalLevels(prior, LENGTH))
    known = FixedFilter(torch.ones(FILTER_BINS), 1e-12)
    assert torch.allclose(completion(other, x, known, 0.1), x, atol=1e-5)


class Even:
    """Stands in for `LocalLevels`: expects one variance of every cell."""

    def __init__(self, prior, variance):
        self.prior, self.variance = prior, variance

    def __call__(self, estimate, decided, noise):
        cqt = self.prior.network.transform(estimate.shape[-1])
        return [torch.full(octave.shape, self.variance) for octave in cqt(estimate)]


def test_highs_begin_at_the_expected_level_while_noise_covers_them_and_are_the_denoisers_then(prior, cqt):
    lows, made = cqt.band_limit(tone(2000.0, 0.05)), cqt.band_limit(tone(7000.0, 0.01))
    limited = FixedFilter((filter_frequencies(RATE) < 3000).float(), 1e-9)
    noise = torch.full((FILTER_BINS,), 1e-9)
    draw = lambda like: torch.randn(like.shape, generator=torch.Generator().manual_seed(0))  # noqa: E731
    with_levels = Completion(prior, torch.ones(1025), noise, lows, Even(prior, 1e-4), draw)
    without = Completion(prior, torch.ones(1025), noise, lows)

    def at(x, hz):
        level, at_hz = levels(x)
        return float(level[(at_hz / hz).log2().abs() < 0.03].square().sum().sqrt())

    def density(x, low_hz, high_hz):
        """Variance of white noise that is as loud in these frequencies."""
        hz, spectrum = torch.fft.rfftfreq(LENGTH, 1 / RATE), torch.fft.rfft(x[0]).abs().square() / LENGTH
        return float(spectrum[(hz > low_hz) & (hz < high_hz)].mean())
    covered, bare = (with_levels(lows + made, lows + made, limited, sigma) for sigma in (10.0, 1e-5))
    assert density(covered, 4000, 9000) == pytest.approx(1e-4, rel=0.15)
    assert at(covered, 2000) == pytest.approx(at(lows, 2000), rel=0.05)
    assert density(bare, 4000, 6000) < 1e-7 and at(bare, 7000) == pytest.approx(at(made, 7000), rel=0.05)
    assert density(without(lows + made, lows + made, limited, 10.0), 4000, 6000) < 1e-7


def test_a_reference_without_highs_and_a_recording_of_nothing_give_nothing_wrong(prior, cqt):
    reference, x = torch.ones(1025), cqt.band_limit(tone(300.0))
    reference[200:] = 0
    unheard = FixedFilter(torch.ones(FILTER_BINS), 1e6)
    completion = Completion(prior, reference, torch.full((FILTER_BINS,), 1e6), x, LocalLevels(prior, LENGTH))
    assert torch.allclose(completion(x, x, unheard, 10.0), x, atol=1e-3)  # no band is known: nothing is begun


def test_a_filter_knows_what_it_lets_through():
    response = torch.tensor([1.0, 0.1, 0.0]).repeat_interleave(683)
    known = FixedFilter(response, 1e-4).known(0.01)
    assert torch.allclose(known[[0, 700, 2000]], torch.tensor([0.990, 0.5, 0.0]), atol=1e-3)
    inner = FixedFilter(response, 1e-4)
    assert torch.equal(Masked(torch.arange(2049) < 10, Identity(), inner).known(0.01), known)


def test_what_is_restored_already_stays_in_the_overlap():
    inner, x, observed = FixedFilter(torch.ones(FILTER_BINS)), torch.zeros(1, 100), torch.ones(1, 100)
    assert float(Masked(torch.arange(100) < 30, Identity(), inner).settle(x, observed).sum()) == 30
    assert inner.settle(x, observed) is x


@pytest.fixture(scope="module")
def example():
    """The bundled recording and its clean original, four seconds out of the middle, and what draft makes of it."""
    both = [soundfile.read(EXAMPLES / f"piano_78{name}.flac", dtype="float32") for name in ("", "_clean")]
    rate = both[0][1]
    degraded, clean = (audio[2 * rate:6 * rate] for audio, _ in both)
    plain = Restorer(load_prior("piano"), load_preset("piano").settings("draft").replace(levels="long-term"))
    restored = GenerativeEQ("piano", quality="draft")(degraded, rate)
    return rate, clean, restored, plain.restore(degraded[None], rate).audio[0]


def band_levels_db(audio, rate, low_hz, high_hz):
    hz, _, spectrum = stft(audio, rate, nperseg=1024)
    return 10 * np.log10((abs(spectrum[(hz >= low_hz) & (hz < high_hz)]) ** 2).sum(axis=0) + 1e-12)


def test_highs_above_the_band_limit_follow_the_music(example):
    rate, *signals = example
    clean, restored, plain = (band_levels_db(x, rate, 4400, 8000) for x in signals)
    follows = np.corrcoef(clean, restored)[0, 1]
    assert follows > 0.5 and np.corrcoef(clean, plain)[0, 1] < follows - 0.2


def test_a_recording_that_is_cut_out_of_music_gets_no_click_at_its_ends(example):
    rate, clean, restored, _ = example
    for end in (slice(0, rate // 50), slice(-rate // 50, None)):
        assert abs(restored[end]).max() < 1.5 * abs(clean[end]).max()
    highs = band_levels_db(restored, rate, 6000, 9500)
    assert max(highs[:2].max(), highs[-2:].max()) < highs.max() + 3


def test_notes_that_stand_out_of_heavy_noise_are_kept(shared):
    """A worn disc of 1917: its noise is as loud as the music of the octaves above 1 kHz, but not as its notes."""
    audio, rate = soundfile.read(shared / "audio" / "march_1917_78rpm.flac", dtype="float32")
    audio = audio.mean(axis=1)[:4 * rate]
    effect = GenerativeEQ("piano", quality="draft")
    restored = effect(audio, rate)
    hz, _, before = stft(audio, rate, nperseg=8192)
    after = stft(restored, rate, nperseg=8192)[2]
    notes = (hz > 1200) & (hz < 2300)
    before, after = (abs(spectrum[notes]) for spectrum in (before, after))
    loud = before > 8 * np.median(before)
    assert 50 < loud.sum() < 0.1 * loud.size
    assert abs(np.median(20 * np.log10(after[loud] / before[loud]))) < 9
    assert np.corrcoef(np.log(before.ravel()), np.log(after.ravel()))[0, 1] > 0.8
