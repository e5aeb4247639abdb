"""The mixing network: what it computes, its sizes, its gradient, and the priors that have one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from babe2_fx.priors import BandMixer, BatchingPrior, MixerConfig, Preconditioning, mixer
from babe2_fx.restoration import Restorer
from babe2_fx.settings import Settings
from standin import TINY_MIXER, tiny_mixer_prior


def network(config: MixerConfig = TINY_MIXER, seed: int = 0) -> BandMixer:
    """A network whose updates are not small, as those of a new one are."""
    torch.manual_seed(seed)
    result = BandMixer(config)
    with torch.no_grad():
        for name, weight in result.named_parameters():
            if "_out" in name or "leave" in name:
                weight.mul_(5).add_(0.02 * torch.randn_like(weight))
    return result


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def relative(a, b):
    return float((a - b).norm() / b.norm())


# -------------------------------------------------------------------------------------------------------- sizes

@pytest.mark.parametrize("changes", [
    {}, {"octaves": 1}, {"octaves": 2}, {"octaves": 8, "block_length": 131072, "sample_rate": 44100},
    {"token_bands": 1}, {"token_bands": 16}, {"bins_per_octave": 24, "token_bands": 8}, {"reach": 0, "depth": 1},
    {"width": 5, "mix_channels": 1}, {"window": "kaiser"}], ids=str)
def test_every_sensible_size_gives_audio_of_the_block_s_length(changes):
    config = replace(TINY_MIXER, **changes)
    x = noise(2, config.block_length)
    y = network(config)(x, torch.tensor([[-0.5], [-1.5]]))
    assert y.shape == x.shape and y.dtype == torch.float32 and y.isfinite().all()


@pytest.mark.parametrize("length", [8192, 16384, 23023, 46046])
def test_blocks_of_other_lengths_are_taken(length):
    assert network()(noise(1, length), torch.zeros(1, 1)).shape == (1, length)


def test_the_usual_size_has_two_million_weights():
    with torch.device("meta"):
        usual = BandMixer(MixerConfig())
    assert sum(p.numel() for p in usual.parameters()) / 1e6 == pytest.approx(1.96, abs=0.005)
    assert usual.config.tokens == 112


@pytest.mark.parametrize("changes, sentence", [
    ({"token_bands": 3}, "Tokens of 3 bands do not fill octaves of 16: bins_per_octave must be a multiple"),
    ({"width": 0}, "width must be a whole number from 1 to 4096, not 0."),
    ({"depth": 10 ** 9}, "depth must be a whole number from 1 to 64, not 1000000000."),
    ({"depth": 2.0}, "depth must be a whole number from 1 to 64, not 2.0."),
    ({"octaves": True}, "octaves must be a whole number from 1 to 12, not True."),
    ({"sigma_data": 0.0}, "sigma_data must be a number from 1e-06 to 1000"),
    ({"sigma_data": math.nan}, "sigma_data must be a number from 1e-06 to 1000, not nan."),
    ({"reach": "2"}, "reach must be a whole number from 0 to 32, not '2'."),
    ({"window": "rectangular"}, "window must be one of hann, kaiser, not 'rectangular'.")], ids=str)
def test_sizes_that_make_no_sense_are_said(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(TINY_MIXER, **changes)


# ---------------------------------------------------------------------------------------------- what it computes

@pytest.mark.parametrize("length", [32768, 46046])
def test_rows_of_a_batch_come_out_as_they_would_alone(length):
    net, x, level = network(), noise(3, length), torch.tensor([[-0.2], [-1.0], [-2.0]])
    with torch.no_grad():
        together = net(x, level)
        for i in range(3):
            assert relative(net(x[i:i + 1], level[i:i + 1]), together[i:i + 1]) < 1e-5


def test_layers_take_rows_together_as_well_as_one_by_one():
    net = network()
    h = noise(3, 16, TINY_MIXER.tokens, TINY_MIXER.width)
    level = noise(3, TINY_MIXER.embedding, seed=1)
    with torch.no_grad():
        for layer in net.layers:  # a GPU is given all rows at once
            together, = layer([h], level)
            for i in range(3):
                pieces = layer(list(h[i:i + 1].split(5, dim=1)), level[i:i + 1])
                assert relative(torch.cat(pieces, dim=1), together[i:i + 1]) < 1e-5


def test_pieces_of_time_make_no_difference(monkeypatch):
    net, x, level = network(), noise(2, 8192), torch.tensor([[-0.5], [-1.5]])
    with torch.no_grad():
        whole = net(x, level)
        for piece in (1, 3 * TINY_MIXER.tokens * TINY_MIXER.width):  # a frame; three, which do not divide the frames
            monkeypatch.setattr(mixer, "PIECE", piece)
            assert relative(net(x, level), whole) < 1e-5


@pytest.mark.parametrize("sigma", [0.8, 0.063, 1e-3, 4e-5])
def test_without_an_addition_it_is_a_wiener_filter_of_the_variance_that_comes_out(sigma):
    prior, wanted_db = tiny_mixer_prior(), 14.0
    x = noise(1, TINY_MIXER.block_length)
    for leave in prior.network.leave:  # whatever goes in, this comes out: no addition, one variance
        leave.weight.zero_()
        leave.bias.zero_()
        leave.bias.view(-1, 3)[:, 2] = wanted_db * math.log(10) / 10 / mixer.VARIANCE_SCALE
    variance = 0.063 ** 2 * 10 ** (wanted_db / 10)
    p, level = Preconditioning(0.063), torch.tensor([[sigma]], dtype=torch.float64)
    passed, kept = variance / (variance + sigma ** 2), prior.band_limit(x).double()
    # What is taken away counts by itself at low noise, and float32 would lose it in a difference of masks.
    out = prior.network((p.c_in(level) * x).float(), p.c_noise(level).float())
    assert relative(out.double(), (passed - p.c_skip(level)) / p.c_out(level) * kept) < 1e-5
    expected = p.c_skip(level) * x + (passed - p.c_skip(level)) * kept
    assert relative(prior.denoise(x, torch.tensor(sigma)).double(), expected) < 1e-5


def test_what_a_coefficient_becomes_depends_on_time_nearby_and_on_all_bands():
    config = replace(TINY_MIXER, depth=1, octaves=2, block_length=65536)
    net, level = network(config), torch.zeros(1, 1)
    x = noise(1, config.block_length)
    other, far = x.clone(), slice(20000, 45000)
    other[:, :2000] = noise(1, 2000, seed=1)
    with torch.no_grad():
        change = net(other, level) - net(x, level)
    assert change[:, :2000].std() > 0.1 and change[:, far].std() < 1e-3 * change[:, :2000].std()


def test_a_lower_precision_of_the_layers_stays_close():
    net, x, level = network(), noise(1, 16384), torch.tensor([[-0.7]])
    with torch.no_grad():
        exact = net(x, level)
        net.compute_dtype = torch.bfloat16
        rough = net(x, level)
    assert rough.dtype == torch.float32 and 0 < relative(rough, exact) < 0.03


# ------------------------------------------------------------------------------------------------------ gradient

def test_every_weight_and_the_input_get_the_gradient_that_differences_say():
    net, x, level = network(replace(TINY_MIXER, block_length=8192)), noise(2, 8192), torch.tensor([[-0.4], [-1.0]])
    x.requires_grad_()
    direction = noise(2, 8192, seed=1)
    net.embedding.RFF_freq.requires_grad_(False)
    (net(x, level) * direction).sum().backward()
    named = {name: p for name, p in net.named_parameters() if p.requires_grad} | {"x": x}
    for name, value in named.items():
        assert value.grad is not None and value.grad.isfinite().all() and float(value.grad.norm()) > 0, name
        along = value.grad / value.grad.norm()
        step = 3e-4 * float(value.detach().norm()) + 1e-4
        with torch.no_grad():
            there, back = (_at(net, value, sign * step * along, x, level, direction) for sign in (1, -1))
        assert (there - back) / (2 * step) == pytest.approx(float(value.grad.norm()), rel=0.03), name


def _at(net, moved, by, x, level, direction):
    """The sum whose gradient was taken, with a weight or the input moved."""
    moved.add_(by)
    result = float((net(x, level).double() * direction).sum())
    moved.sub_(by)
    return result


def test_muon_s_matrices_are_the_layers_maps_of_channels():
    net = BandMixer(TINY_MIXER)
    names = {id(p): name for name, p in net.named_parameters()}
    chosen = [names[id(p)] for p in net.matrices()]
    maps = ("time_in", "time_out", "band_in", "band_out", "channel_in", "channel_out")
    assert chosen == [f"layers.{i}.{name}.weight" for i in range(TINY_MIXER.depth) for name in maps]


# -------------------------------------------------------------------------------------------------- priors with it

def test_threads_get_from_one_mixing_prior_what_each_would_alone():
    x, sigma = noise(2, TINY_MIXER.block_length), torch.tensor([0.5, 0.01])
    alone = tiny_mixer_prior()
    with BatchingPrior(tiny_mixer_prior()) as prior:
        assert relative(prior.denoise(x, sigma), alone.denoise(x, sigma)) < 1e-5
    assert prior.fingerprint == alone.fingerprint != tiny_mixer_prior(seed=1).fingerprint


@pytest.mark.parametrize("changes", [{}, {"guidance": "gradient"}, {"blocks": "time-invariant"}], ids=str)
def test_a_recording_is_restored_with_a_mixing_prior(make_notes, changes):
    audio = make_notes(22050, 2.5)
    settings = Settings.of(steps=2, order=1, guidance="direct", filter_fit="global", s_churn=0.0).replace(**changes)
    results = [Restorer(tiny_mixer_prior(), settings).restore(audio, 22050).audio for _ in range(2)]
    assert results[0].shape == audio.shape and np.isfinite(results[0]).all() and results[0].std() > 0.01
    assert np.array_equal(*results)
