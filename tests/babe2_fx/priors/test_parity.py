"""The network and its transform against numbers of the published implementation."""

import json

import numpy as np
import pytest
import torch

from babe2_fx.priors import Preconditioning, Prior, load_prior
from babe2_fx.sampling import churn, noise_levels
from closeness import relative


@pytest.fixture(scope="module")
def numbers(reference):
    return np.load(reference / "cqtdiff_22k_small.npz")


@pytest.fixture(scope="module")
def prior(reference) -> Prior:
    return load_prior(reference / "cqtdiff_22k_small.pt")


def test_checkpoint_has_the_published_sizes(prior, reference):
    sizes, config = json.loads((reference / "cqtdiff_22k_small.json").read_text()), prior.network.config
    assert (prior.sample_rate, prior.block_length, prior.sigma_data, prior.level) == (
        sizes["sample_rate"], sizes["audio_len"], sizes["sigma_data"], 0.07)
    assert (config.octaves, config.bins_per_octave) == (sizes["num_octs"], sizes["bins_per_oct"])
    assert (list(config.channels), list(config.layers)) == (sizes["Ns"], sizes["num_dils"])
    assert prior.ltas.shape == (2049,)


def test_transform_gives_the_published_octaves_and_their_inverse(prior, numbers):
    cqt = prior.network.transform(32768)
    octaves = cqt(torch.from_numpy(numbers["x"]))
    for i, octave in enumerate(octaves):
        assert relative(octave, numbers[f"cqt_octave_{i}"][:, 0]) < 1e-5
    assert relative(cqt.inverse(octaves), numbers["cqt_reconstruction"].reshape(2, -1)) < 1e-5


@torch.no_grad()
def test_network_gives_the_published_output(prior, numbers):
    output = prior.network(torch.from_numpy(numbers["net_input"]), torch.from_numpy(numbers["cnoise"]))
    assert relative(output, numbers["net_output"]) < 1e-4


def test_denoiser_and_its_gradient_are_the_published_ones(prior, numbers):
    noisy = torch.from_numpy(numbers["noisy"]).requires_grad_()
    denoised = prior.denoise(noisy, torch.from_numpy(numbers["sigma"]))
    assert relative(denoised.detach(), numbers["denoised"]) < 1e-4
    gradient, = torch.autograd.grad(denoised.square().sum(), noisy)
    assert relative(gradient, numbers["grad_of_sum_denoised_squared"]) < 1e-4


@pytest.mark.parametrize("kind", ["piano", "voice"])
def test_schedule_and_preconditioning_are_the_published_ones(reference, kind):
    z = np.load(reference / "edm_schedules.npz")
    sigma_min = float(z[f"{kind}_t"][-2])
    levels = noise_levels(float(z[f"{kind}_sigma_start"]), sigma_min, 13, 51)
    assert relative(levels, z[f"{kind}_t"]) < 1e-5
    assert np.allclose(churn(10, 51), z[f"{kind}_gamma"][:-1], rtol=1e-6)
    p = Preconditioning(float(z[f"{kind}_sigma_data"]))
    sigma = torch.from_numpy(z[f"{kind}_sigma"])
    for method, name in ((p.c_skip, "cskip"), (p.c_out, "cout"), (p.c_in, "cin"), (p.c_noise, "cnoise"),
                         (p.loss_weight, "lambda_w")):
        assert np.allclose(method(sigma), z[f"{kind}_{name}"], rtol=1e-4), name
