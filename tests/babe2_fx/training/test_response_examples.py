"""What a response model learns from: responses as media have them, noise, and examples made with both."""

import numpy as np
import pytest
import torch

from babe2_fx.priors.response import FRAMES, Response
from babe2_fx.spectra.cells import BANDS, band_centres_hz
from babe2_fx.training import responses
from babe2_fx.training.cell_material import CellMaterial
from babe2_fx.training.response_examples import moved, response_example, response_loss
from babe2_fx.training.responses import OCTAVE, REFERENCE, draw_response
from babe2_fx.training.surface_noise import draw_noise

HZ = band_centres_hz()


class Steady(CellMaterial):
    """Material whose levels are random around a steady slope."""

    def __init__(self, noise=None):
        rng = np.random.default_rng(0)
        self.frames, self.noise, self.chances = FRAMES, noise, np.array([0.5, 0.5])
        self.levels = [np.float16(-5 * OCTAVE[:, None] - 20 + 5 * rng.normal(size=(BANDS, 300))) for _ in range(2)]


def drawn(draw, count=200):
    rng = np.random.default_rng(1)
    return np.stack([draw(rng) for _ in range(count)])


def test_one_response_in_ten_is_flat_and_all_are_0_db_at_1_khz():
    found = drawn(draw_response, 600)
    assert found.dtype == np.float32 and np.isfinite(found).all() and (found[:, REFERENCE] == 0).all()
    assert 0.06 < (found == 0).all(1).mean() < 0.15


def test_horns_have_a_band_and_electric_recordings_a_wider_one():
    def width(found):
        return (found > found.max(1, keepdims=True) - 30).sum(1) / 12
    horns, electric = width(drawn(responses.horn)), width(drawn(responses.electric))
    assert np.median(horns) < 5.8 and np.quantile(electric, 0.2) > 6.2


def test_breakpoints_are_straight_lines_between_five_points():
    bends = np.abs(np.diff(drawn(responses.breakpoints), 2, axis=1)) > 1e-6
    assert bends.any(0).sum() > 40 and (bends.sum(1) <= 10).all()  # a point between two bands bends at both


def test_ripples_narrower_than_half_an_octave_are_among_the_horns():
    inner = drawn(responses.horn)[:, (HZ > 500) & (HZ < 1900)]
    smooth = np.stack([np.convolve(np.pad(one, 6, "edge"), np.ones(13) / 13, "valid") for one in inner])  # an octave
    assert 0.15 < (np.abs(inner - smooth).max(1) > 4).mean() < 0.7


def test_a_cutting_curve_is_level_between_turnover_and_treble():
    curves = drawn(responses._curve)
    assert (curves[:, HZ < 100].mean(1) < -3).mean() > 0.9
    assert np.abs(curves[:, -1] - curves[:, np.argmin(abs(HZ - 1300))]).max() < 17


def test_noise_is_a_power_that_changes_from_cell_to_cell():
    found = drawn(lambda rng: draw_noise(rng, 2, FRAMES, None), 100)
    assert found.shape == (100, 2, BANDS, FRAMES) and found.dtype == np.float32
    assert np.isfinite(found).all() and (found >= 0).all()
    mean_db = 10 * np.log10(found.mean((1, 2, 3)) + 1e-12)
    assert np.quantile(mean_db, 0.1) < -45 and np.quantile(mean_db, 0.9) > -35


def test_grooves_lend_noise_their_texture():
    grooves = Steady()
    grooves.levels = [np.tile(np.float16([0.0, -30.0]), (BANDS, 150))]
    grooves.chances = np.ones(1)
    with_them = drawn(lambda rng: draw_noise(rng, 1, FRAMES, grooves), 100)[:, 0, 40]
    alternating = np.abs(np.diff(10 * np.log10(with_them + 1e-20), axis=1)).min(1) > 15
    assert 10 < alternating.sum() < 40


@pytest.mark.parametrize("bands", [-5, -1, 0, 3])
def test_moved_music_keeps_its_shape_and_falls_where_nothing_came_from(bands):
    power = np.exp(np.random.default_rng(0).normal(size=(2, BANDS, 5)))
    found = moved(power, bands)
    inside = slice(max(bands, 0), BANDS + min(bands, 0))
    assert np.allclose(found[:, inside], np.roll(power, bands, 1)[:, inside])
    if bands < 0:
        assert np.allclose(found[:, -1], power[:, -1] * 10 ** (0.1 * bands))
    assert np.isfinite(found).all() and (found > 0).all()


def test_examples_are_relative_to_their_mean_power_and_the_same_for_the_same_seed():
    material = Steady()
    for count in (2, 8):
        one, same, other = (response_example(material, count, np.random.default_rng(seed)) for seed in (3, 3, 4))
        assert one.level_db.shape == (count, BANDS, FRAMES) and one.response_db.shape == (BANDS,)
        assert one.level_db.dtype == one.response_db.dtype == np.float32
        assert all(np.array_equal(a, b) for a, b in zip(one, same)) and not np.array_equal(one.level_db, other.level_db)
        assert 10 * np.log10((10 ** (one.level_db / 10)).mean()) == pytest.approx(0, abs=1)
        assert one.response_db.min() >= -60


def test_the_response_is_in_the_levels():
    """Over many examples, what a band has more or less than usual goes with the response."""
    rng, material = np.random.default_rng(0), Steady()
    examples = [response_example(material, 2, rng) for _ in range(150)]
    levels = np.stack([e.level_db.mean((0, 2)) for e in examples])
    found = np.stack([e.response_db for e in examples])
    heard = found > -25
    levels, found = (x - (x * heard).sum(1, keepdims=True) / heard.sum(1, keepdims=True) for x in (levels, found))
    assert np.corrcoef(levels[heard], found[heard])[0, 1] > 0.4


def test_the_loss_is_least_for_the_right_response_and_an_honest_variance_and_has_no_constant():
    generator = torch.Generator().manual_seed(0)
    truth = 5 * torch.randn(40, BANDS, generator=generator)
    torch.manual_seed(0)
    off = truth + torch.distributions.Laplace(0, 4 / 2 ** 0.5).sample(truth.shape)

    def loss(mean, deviation_db):
        return float(response_loss(Response(mean, torch.full_like(mean, 2 * np.log(deviation_db))), truth))
    assert loss(truth, 1) < loss(off, 4) < min(loss(off, 2), loss(off, 8))
    assert loss(truth + 7, 1) == pytest.approx(loss(truth, 1), abs=1e-4)


def test_what_a_medium_took_away_hardly_counts_in_the_loss():
    truth = torch.zeros(1, BANDS)
    truth[:, 60:] = -60
    heard, lost = truth.clone(), truth.clone()
    heard[:, 20:40] += 8
    lost[:, 60:80] += 8
    certain = torch.zeros(1, BANDS)
    assert float(response_loss(Response(lost, certain), truth)) < 0.3 * float(
        response_loss(Response(heard, certain), truth))
