"""Convolutions in tiles agree with the library's."""

import pytest
import torch
import torch.nn.functional as F

from babe2_fx.priors import Prior, convolution
from babe2_fx.priors.convolution import Plain, Tiled, adjoint, workspace_for
from babe2_fx.priors.network import CQTDiff, NetworkConfig


def plane_and_filter(batch=1, channels=32, bins=64, frames=16, to=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    plane = torch.randn(batch, channels, bins, frames, generator=generator)
    weight = torch.randn(to or channels, channels, 5, 3, generator=generator) / (15 * channels) ** 0.5
    return plane.contiguous(memory_format=torch.channels_last), weight


def convolved(plane, weight, dilation, workspace=Tiled):
    workspace = workspace(plane, dilation)
    workspace.plane.copy_(plane)
    return workspace.convolved(weight)


def exactly(plane, weight, dilation):
    return F.conv2d(plane.double(), weight.double(), padding=(2 * dilation, 1), dilation=(dilation, 1))


def deviation(result, expected):
    return float((result.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("bins, dilation", [(64, 1), (64, 2), (64, 64), (63, 4), (448, 64), (320, 32), (7, 3), (1, 1)])
@pytest.mark.parametrize("frames", [1, 2, 32])
def test_a_plane_in_tiles_is_convolved_as_by_the_library(bins, dilation, frames):
    plane, weight = plane_and_filter(bins=bins, frames=frames, to=48)
    result = convolved(plane, weight, dilation)
    assert result.shape == (1, 48, bins, frames)
    assert deviation(result, exactly(plane, weight, dilation)) < 2e-5
    assert deviation(convolved(plane, weight, dilation, Plain), exactly(plane, weight, dilation)) < 1e-6


@pytest.mark.parametrize("positions", range(1, 40))
def test_where_the_work_is_cut_makes_no_difference(monkeypatch, positions):
    plane, weight = plane_and_filter(channels=8, bins=20, frames=8)  # tiles of 9 or 18 positions
    monkeypatch.setattr(convolution, "WORKING", 8 * positions)
    for dilation in (1, 2):
        assert deviation(convolved(plane, weight, dilation), exactly(plane, weight, dilation)) < 2e-5


def test_nothing_left_in_memory_gets_into_the_result(monkeypatch):
    def full_of_nan(like, *shape):
        return torch.full(shape, torch.nan, dtype=like.dtype)
    monkeypatch.setattr(torch.Tensor, "new_empty", full_of_nan)
    for size in (1, 100, 1000, 10 ** 6):
        monkeypatch.setattr(convolution, "WORKING", size)
        assert convolved(*plane_and_filter(channels=8, bins=50, frames=9), 3).isfinite().all()


def test_a_plane_is_convolved_alike_alone_and_beside_others():
    plane, weight = plane_and_filter(batch=3)
    together = convolved(plane, weight, 2)
    for item, expected in zip(plane, together):
        assert torch.equal(convolved(item[None], weight, 2)[0], expected)


@pytest.mark.parametrize("workspace", [Plain, Tiled])
def test_the_adjoint_takes_gradients_back(workspace):
    plane, weight = plane_and_filter(to=40)
    plane = plane.double().requires_grad_()
    result = exactly(plane, weight, 4)
    outer = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    expected, = torch.autograd.grad(result, plane, outer.double())
    assert deviation(convolved(outer, adjoint(weight), 4, workspace), expected) < 2e-5


def test_tiles_are_for_many_channels_in_float32():
    plane, weight = plane_and_filter()
    assert isinstance(workspace_for(plane, weight, 1), Tiled)
    assert isinstance(workspace_for(plane.bfloat16(), weight.bfloat16(), 1), Plain)
    assert isinstance(workspace_for(*plane_and_filter(channels=8), 1), Plain)


def test_a_unet_says_the_same_with_tiles_and_without(monkeypatch):
    """One of the sizes that `babe2 train --set architecture=unet` was used with, with random weights."""
    torch.manual_seed(0)
    network = CQTDiff(NetworkConfig(window="hann", channels=(16, 32, 32, 32, 32, 48, 48), layers=(2, 2, 3, 3, 3, 4, 5),
                                    embedding=64, companding=0.063))
    with torch.no_grad():
        for weights in network.parameters():
            weights += 0.02 * torch.randn(weights.shape)  # some begin at zero
    prior = Prior(network, 0.063)
    noisy = prior.level * torch.randn(1, prior.block_length, generator=torch.Generator().manual_seed(0))

    def estimate_and_gradient():
        x = noisy.clone().requires_grad_()
        denoised = prior.denoise(x, torch.tensor(0.1))
        return denoised.detach(), torch.autograd.grad(denoised.square().sum(), x)[0]
    tiled = estimate_and_gradient()
    monkeypatch.setattr(convolution, "CHANNELS", 10 ** 9)
    plain = estimate_and_gradient()
    for result, expected in zip(tiled, plain):
        assert 0 < deviation(result, expected) < 1e-4  # -80 dB
