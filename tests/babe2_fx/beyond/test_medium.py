import numpy as np
import pytest
import torch

from babe2_fx.beyond import Medium
from babe2_fx.priors.response import ResponseEstimate
from babe2_fx.spectra import apply_response, filter_frequencies, ltas, ltas_response
from babe2_fx.spectra.cells import band_centres_hz

RATE = 22050
HZ = filter_frequencies(RATE).numpy()


def response_of(points: dict[float, float]) -> torch.Tensor:
    """Levels in dB at frequencies in Hz, joined over log frequency, as a linear response (2049,)."""
    level_db = np.interp(np.log2(np.maximum(HZ, 1)), np.log2(list(points)), list(points.values()))
    return torch.from_numpy(10 ** (level_db / 20)).float()


@pytest.fixture(scope="module")
def music(make_notes) -> torch.Tensor:
    return torch.from_numpy(make_notes(RATE, 12.0)[0])


def at(curve: torch.Tensor, hz: float) -> float:
    return float(curve[np.argmin(np.abs(HZ - hz))])


def reference_of(music: torch.Tensor) -> torch.Tensor:
    return ltas(music / music.std(), 2048)


def test_without_noise_it_is_ltas_eq(music):
    recording = apply_response(music, response_of({100: -15, 400: 0, 2000: 0, 3000: -10}))
    medium = Medium.of(recording, reference_of(music), RATE)
    expected = ltas_response(ltas(recording, 2048) / recording.var(unbiased=False), reference_of(music), -200.0)
    np.testing.assert_allclose(medium.response_db.numpy(), 20 * np.log10(expected.numpy()), atol=1e-6)
    assert medium.heard.all() and not medium.noise.any()


def test_where_only_noise_is_left_the_response_is_that_of_the_nearest_music(music):
    noise = 0.003 * torch.randn(len(music), generator=torch.Generator().manual_seed(0))
    recording = apply_response(music, response_of({1000: 0, 1500: -50})) + noise
    medium = Medium.of(recording, reference_of(music), RATE, measure_noise=True)
    edge_hz = HZ[medium.heard.numpy()].max()
    assert 1000 < edge_hz < 2000
    assert at(medium.response_db, 8000) == at(medium.response_db, edge_hz)
    assert at(medium.most_db, 3000) > at(medium.response_db, 3000)  # what noise there is bounds the response
    assert 10 * np.log10(at(medium.noise, 5000)) == pytest.approx(20 * np.log10(0.003), abs=1)


def test_below_the_lowest_frequency_nothing_is_heard(music):
    noise = 0.003 * torch.randn(len(music), generator=torch.Generator().manual_seed(0))
    medium = Medium.of(music + noise, reference_of(music), RATE, lowest_hz=150.0, measure_noise=True)
    assert not medium.heard[HZ < 150].any()


def test_what_is_heard_between_two_bands_of_the_model_tells_a_fit_nothing():
    deviation_db = torch.full((2049,), torch.inf).double()
    deviation_db[1500:1510] = 2.0
    zeros = torch.zeros(2049).double()
    medium = Medium(zeros, deviation_db.isfinite(), zeros, zeros, deviation_db)
    assert medium.expectation(torch.ones(2049), RATE) is None


def test_if_music_stands_out_only_below_the_lowest_frequency_all_above_counts():
    time_s = torch.arange(6 * RATE) / RATE
    rumble = torch.sin(2 * torch.pi * 15 * time_s) * (time_s % 1 > 0.5)
    noise = 0.05 * torch.randn(len(rumble), generator=torch.Generator().manual_seed(0))
    medium = Medium.of(rumble + noise, torch.ones(1025).double(), RATE, 86.0, measure_noise=True)
    assert torch.equal(medium.heard, filter_frequencies(RATE) >= 86.0) and medium.response_db.isfinite().all()


def test_the_ends_of_music_that_was_cut_out_do_not_pass_for_highs():
    """A chord up to 3 kHz that begins and ends at full level, over noise 70 dB below it."""
    rng, time_s = np.random.default_rng(0), np.arange(4 * 22050) / 22050
    chord = sum(np.sin(2 * np.pi * 200 * k * time_s + 2 * np.pi * rng.random()) / k for k in range(1, 16))
    audio = torch.from_numpy(chord / chord.std() + 10 ** (-70 / 20) * rng.normal(size=chord.shape)).float()[None]
    reference = 1 / (1 + torch.linspace(0, 20, 1025).double() ** 2)
    medium = Medium.of(audio, reference, 22050, 86.0, measure_noise=True)
    hz = filter_frequencies(22050)
    assert medium.heard[(hz > 300) & (hz < 2500)].any() and not medium.heard[hz > 5000].any()


def learned_of(points: dict[float, float]) -> ResponseEstimate:
    """Levels in dB at frequencies in Hz as what a response model finds, sure to 2 dB."""
    level_db = np.interp(np.log2(band_centres_hz()), np.log2(list(points)), list(points.values()))
    return ResponseEstimate(torch.from_numpy(level_db), torch.full((83,), 2.0))


def test_a_learned_response_takes_the_place_of_the_long_term_spectrum_and_passes_at_0_db(music):
    learned = learned_of({100: -20, 300: 7, 3000: 7, 6000: -30})
    plain = Medium.of(music, reference_of(music), RATE, 86.0, True)
    medium = Medium.of(music, reference_of(music), RATE, 86.0, True, learned)
    assert plain.deviation_db is None and medium.deviation_db is not None
    passed = medium.most_db > medium.most_db.max() - 12
    assert float(medium.most_db[passed].mean()) == pytest.approx(0, abs=0.1)
    assert at(medium.response_db, 1000) == pytest.approx(at(medium.most_db, 1000))
    assert at(medium.response_db, 6000) - at(medium.response_db, 1000) == pytest.approx(-37, abs=1.5)
    assert torch.equal(medium.response_db[medium.heard], medium.most_db[medium.heard])
    lowest = int(medium.heard.nonzero()[0])  # noise there is not to be lifted by more than the lowest music
    assert float(medium.response_db[0]) == float(medium.response_db[lowest])
    assert torch.equal(medium.heard, plain.heard) and torch.equal(medium.noise, plain.noise)
    lowest_hz, highest_hz = (float(hz) for hz in band_centres_hz()[[0, -1]])
    known = medium.heard & torch.as_tensor((HZ >= lowest_hz) & (HZ <= highest_hz))
    assert plain.deviation_db is None and torch.equal(medium.deviation_db.isfinite(), known)
    middle = float(band_centres_hz()[41])
    assert at(medium.deviation_db, middle) == pytest.approx(2)


def test_no_learned_response_falls_more_steeply_than_an_eq_can(music):
    medium = Medium.of(music, reference_of(music), RATE, 86.0, True,
                       learned_of({100: -70, 150: 0, 900: 5, 1000: 6, 1100: -50, 1500: 0, 2000: -90}))
    above = HZ >= HZ[int(medium.most_db.argmax())]
    assert (np.diff(medium.most_db.numpy()[above]) >= -80 * np.diff(np.log2(HZ[above])) - 1e-9).all()
    assert at(medium.most_db, 1000) - at(medium.most_db, 1100) == pytest.approx(80 * np.log2(1.1), abs=1)
    assert at(medium.most_db, 300) > at(medium.most_db, 1000) - 10  # what is not steep stays


def test_a_fit_expects_what_is_left_of_a_learned_response_in_the_bands_that_are_heard(music):
    medium = Medium.of(music, reference_of(music), RATE, 86.0, True, learned_of({100: -20, 300: 7, 3000: 7, 6000: -30}))
    expected = medium.expectation(10 ** (medium.response_db / 20), RATE)
    assert expected is not None and np.abs(expected.level_db).max() < 1e-9 and (expected.deviation_db == 2).all()
    assert expected.hz.min() >= HZ[medium.heard].min() - 10 and expected.hz.max() <= HZ[medium.heard].max() + 10
    plain = Medium.of(music, reference_of(music), RATE, 86.0, True)
    assert plain.expectation(torch.ones(2049), RATE) is None  # as published


def test_the_residue_of_a_codec_above_its_limit_is_not_heard(music):
    bins = len(torch.fft.rfft(music))
    limited = torch.fft.irfft(torch.fft.rfft(music) * (torch.arange(bins) < bins // 4), n=len(music))
    residue = 1e-6 * music.std() * torch.randn(len(music), generator=torch.Generator().manual_seed(0))
    swelling = residue * torch.linspace(0, 2, len(music)) ** 2
    medium = Medium.of(limited + swelling, reference_of(music), RATE, 86.0, measure_noise=True)
    assert medium.heard[(HZ > 200) & (HZ < 2000)].float().mean() > 0.8
    edge_hz = RATE / 2 / 4
    assert not medium.heard[HZ > 1.01 * edge_hz].any()


def test_hiss_up_to_a_digital_limit_is_noise_up_to_there(music):
    """A disc's hiss that a codec cut off within a third of an octave: its level is not that of what lies above."""
    hiss = 0.03 * music.std() * torch.randn(len(music), generator=torch.Generator().manual_seed(1))
    bins = len(torch.fft.rfft(music))
    spectrum = torch.fft.rfft(music) * (torch.arange(bins) < 2000 / (RATE / 2) * bins) + torch.fft.rfft(hiss)
    disc = torch.fft.irfft(spectrum * (torch.arange(bins) < 4000 / (RATE / 2) * bins), n=len(music))
    medium = Medium.of(disc, reference_of(music), RATE, 86.0, measure_noise=True)
    assert medium.heard[(HZ > 200) & (HZ < 1500)].float().mean() > 0.8
    assert not medium.heard[HZ > 2500].any()


def test_nothing_is_heard_above_what_a_lower_sample_rate_had_room_for(music):
    plain = Medium.of(music, reference_of(music), RATE, 86.0, True)
    medium = Medium.of(music, reference_of(music), RATE, 86.0, True, highest_hz=3000.0)
    assert plain.heard[HZ > 3000].any() and not medium.heard[HZ > 3000].any()
    assert torch.equal(plain.heard[HZ <= 3000], medium.heard[HZ <= 3000])
