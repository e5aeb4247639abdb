"""The network and its transform against numbers of the published implementation."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch

from babe2_fx.priors import CQTDiff, NetworkConfig, Preconditioning, Prior
from babe2_fx.priors.cqt import OctaveCQT
from babe2_fx.sampling import churn, noise_levels


def relative(value, expected) -> float:
    value, expected = np.asarray(value), np.asarray(expected)
    return float(np.abs(value - expected).max() / np.abs(expected).max())


class _Inert:
    """Takes the place of every class of the file's configuration, which the test does not need."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


class _Dict(dict):
    """A state dict; it carries attributes, which a plain dict cannot."""


class _Weights(pickle.Unpickler):
    """Enough of a reader for this one trusted file: tensors of float32, and nothing else."""

    def __init__(self, archive: zipfile.ZipFile):
        self.archive, self.root = archive, archive.namelist()[0].split("/")[0]
        super().__init__(io.BytesIO(archive.read(f"{self.root}/data.pkl")))

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *rest: torch.as_strided(storage, size, stride, offset)
        if (module, name) == ("collections", "OrderedDict"):
            return _Dict
        return _Inert

    def persistent_load(self, pid):
        return torch.frombuffer(bytearray(self.archive.read(f"{self.root}/data/{pid[2]}")), dtype=torch.float32)


@pytest.fixture(scope="module")
def numbers(reference):
    return np.load(reference / "cqtdiff_22k_small.npz")


@pytest.fixture(scope="module")
def prior(reference) -> Prior:
    with zipfile.ZipFile(reference / "cqtdiff_22k_small.pt") as archive:
        weights = _Weights(archive).load()["ema"]
    network = CQTDiff(NetworkConfig(block_length=32768, channels=(8, 8, 16, 16, 16, 24, 24),
                                    layers=(1, 2, 2, 3, 2, 2, 3)))
    network.load_state_dict(weights)
    return Prior(network, sigma_data=0.063)


def test_transform_gives_the_published_octaves_and_their_inverse(numbers):
    cqt = OctaveCQT(7, 64, 22050, 32768)
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
