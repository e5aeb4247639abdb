"""Transform, network and prior files, without outside numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from babe2_fx.priors import (
    CQTDiff,
    Emphasis,
    NetworkConfig,
    Preconditioning,
    PriorError,
    load_prior,
    save_prior,
)
from babe2_fx.priors.cqt import OctaveCQT
from standin import TINY, tiny_prior


@pytest.mark.parametrize("octaves,bins,rate,length", [
    (7, 64, 22050, 184184), (7, 64, 22050, 65536), (8, 32, 44100, 262144), (3, 16, 22050, 32768)])
@pytest.mark.parametrize("window", ["hann", "kaiser"])
def test_transform_inverts_to_all_but_dc_and_nyquist_bands(octaves, bins, rate, length, window):
    cqt = OctaveCQT(octaves, bins, rate, length, window)
    x = torch.randn(2, length, generator=torch.Generator().manual_seed(0))
    back = cqt.inverse(cqt(x))
    assert (back - cqt.band_limit(x)).norm() < 1e-5 * x.norm()
    hz = torch.fft.rfftfreq(length, 1 / rate)
    inside = (hz > 1.2 * rate / 2 ** (octaves + 1)) & (hz < 0.47 * rate)
    lost = (torch.fft.rfft(back - x).abs()[:, inside]).max() / torch.fft.rfft(x).abs().max()
    assert lost < 1e-3


def test_transform_refuses_blocks_that_do_not_fit():
    with pytest.raises(ValueError, match="too short or too odd"):
        OctaveCQT(7, 64, 22050, 2000)


def test_network_sizes_are_the_published_ones():
    with torch.device("meta"):
        network = CQTDiff(NetworkConfig())
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(44.5, abs=0.1)


def test_prior_file_comes_back_as_it_was_saved(tmp_path):
    prior = tiny_prior()
    path = tmp_path / "prior.safetensors"
    emphasis = torch.linspace(0, 20, 2049)
    save_prior(path, prior.network.state_dict(), TINY, 0.063, 0.07, prior.ltas, emphasis, {"origin": "test"},
               dtype=torch.float32)
    loaded = load_prior(path)
    assert (loaded.sigma_data, loaded.level, loaded.sample_rate, loaded.block_length) == (0.063, 0.07, 22050, 32768)
    assert loaded.info == {"origin": "test"}
    assert torch.equal(loaded.ltas, prior.ltas)
    x = torch.randn(1, 32768)
    assert torch.equal(loaded.denoise(x, torch.tensor(0.1)), prior.denoise(x, torch.tensor([[0.1]])))


@pytest.mark.parametrize("content", [b"", b"not a prior", b"\xff" * 100, (2 ** 60).to_bytes(8, "little") + b"{}"])
def test_broken_prior_file_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(PriorError, match="broken.safetensors"):
        load_prior(path)


def test_missing_prior_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(PriorError, match="nowhere.safetensors"):
        load_prior(tmp_path / "nowhere.safetensors")


def test_emphasis_is_undone_and_has_the_gain_it_says():
    hz = np.linspace(0, 11025, 2049)
    gain_db = torch.from_numpy(np.interp(np.log2(hz + 50), np.log2([50, 300, 3000, 11025]), [0, -5, 10, 35]))
    emphasis = Emphasis(gain_db)
    x = torch.randn(1, 300000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = emphasis.apply(x)
    middle = slice(5000, -5000)
    assert (emphasis.undo(y) - x)[:, middle].norm() < 1e-2 * x[:, middle].norm()
    spectrum = (torch.fft.rfft(y).abs() / torch.fft.rfft(x).abs()).squeeze()
    for f, expected in ((300, -5), (3000, 10), (9000, 32)):
        near = spectrum[int(f / 11025 * 150000) + torch.arange(-200, 200)].median()
        assert 20 * np.log10(float(near)) == pytest.approx(float(np.interp(f, hz, gain_db)), abs=0.3)
        assert abs(float(np.interp(f, hz, gain_db)) - expected) < 3


def test_noise_level_may_be_given_per_row_or_for_all():
    prior = tiny_prior()
    x = torch.randn(2, 32768)
    row = prior.denoise(x, torch.tensor([0.1, 0.1]))
    assert torch.equal(row, prior.denoise(x, torch.tensor(0.1)))
    assert torch.equal(row, prior.denoise(x, torch.tensor([[0.1], [0.1]])))


def test_white_noise_has_the_deviation_that_the_transform_says():
    cqt = OctaveCQT(5, 32, 22050, 65536, window="hann")
    noise = torch.randn(16, 65536, generator=torch.Generator().manual_seed(0))
    for i, octave in enumerate(cqt(noise)):
        found = octave.abs().square().mean(dim=(0, 2)).sqrt() / cqt.white(i)
        assert float((found - 1).abs().mean()) < 0.1


def test_a_companded_network_sees_noise_alike_at_every_level_and_loud_partials_compressed():
    network = CQTDiff(replace(TINY, companding=0.063))
    cqt, p = network.transform(TINY.block_length), Preconditioning(0.063)
    noise = torch.randn(1, TINY.block_length, generator=torch.Generator().manual_seed(0))
    tone = 0.1 * torch.sin(2 * torch.pi * 3000 / TINY.sample_rate * torch.arange(TINY.block_length))
    for level in (0.5, 0.01, 1e-4):
        sigma = torch.tensor([[level]])
        quiet = network._compand(cqt(p.c_in(sigma) * sigma * noise), cqt, p.c_noise(sigma))
        assert all(0.5 < float(octave.abs().mean()) < 1.0 for octave in quiet)
        loud = network._compand(cqt(p.c_in(sigma) * (tone + sigma * noise)), cqt, p.c_noise(sigma))
        assert max(float(octave.abs().max()) for octave in loud) < 20


def test_a_companded_prior_comes_back_from_its_file(tmp_path):
    network = CQTDiff(replace(TINY, companding=0.063))
    save_prior(tmp_path / "p.safetensors", network.state_dict(), network.config, 0.063, 0.063, torch.ones(1025), None,
               {}, dtype=torch.float32, ltas_spread_db=torch.full((1025,), 3.0))
    loaded, x = load_prior(tmp_path / "p.safetensors"), torch.randn(1, TINY.block_length)
    assert loaded.network.config.companding == 0.063 and float(loaded.ltas_spread_db[0]) == 3.0
    with torch.no_grad():
        assert torch.equal(loaded.network(x, torch.zeros(1, 1)), network(x, torch.zeros(1, 1)))
