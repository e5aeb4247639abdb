"""The level model: what it does not look at, and what a prior file does with it."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.priors import PriorError, load_prior, save_prior
from babe2_fx.priors.levels import LevelConfig, LevelModel

SMALL = LevelConfig(channels=8, mixes=2, width=16, passed=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LevelModel(SMALL).eval().requires_grad_(False)


@pytest.fixture
def saved(model, tmp_path):
    """A prior file with the level model, and its path."""
    prior = load_prior("piano")
    path = tmp_path / "with.safetensors"
    save_prior(path, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas,
               prior.emphasis.gain_db, prior.info, ltas_spread_db=prior.ltas_spread_db, levels=model)
    return path


def inputs(frames=20, known_bands=50):
    generator = torch.Generator().manual_seed(1)
    known = (torch.arange(83) < known_bands).float()[None, :, None].expand(1, 83, frames)
    return torch.randn(1, 249, frames, generator=generator) * 10 - 20, known, torch.full((1, 83, frames), -80.0)


def test_levels_of_unknown_cells_do_not_matter(model):
    level, known, noise = inputs()
    other = level.clone()
    other[:, 150:] += 30
    assert torch.equal(model(level, known, noise).mean, model(other, known, noise).mean)
    other[:, 149] += 30
    assert not torch.equal(model(level, known, noise).mean, model(other, known, noise).mean)


def test_every_known_cell_reaches_every_band_of_its_frame(model):
    level, known, noise = inputs()
    level = level.requires_grad_()
    model(level, known, noise).mean[0, 230, 10].backward()
    assert float(level.grad[0, :150, 10].abs().min()) > 0 and float(level.grad[0, 150:].abs().max()) == 0


def test_shapes_and_bounds(model):
    found = model(*inputs(frames=7))
    assert found.mean.shape == found.log_variance.shape == (1, 249, 7)
    assert float(found.log_variance.min()) >= -1 and float(found.log_variance.max()) <= 6
    louder = model(*(x + 1000 if i == 0 else x for i, x in enumerate(inputs(frames=7))))
    assert torch.isfinite(louder.mean).all()


@pytest.mark.parametrize("sizes", [{"channels": 0}, {"width": 10 ** 9}, {"mixes": 2.5}, {"passed": True}])
def test_sizes_out_of_range_are_refused(sizes):
    with pytest.raises(ValueError, match=f"{next(iter(sizes))} of a level model must be a whole number from 1 to 1024"):
        LevelConfig(**sizes)


def test_a_prior_file_keeps_it(model, saved):
    prior, without = load_prior(saved), load_prior("piano")
    assert prior.levels.config == SMALL and not prior.levels.training
    for (name, value), kept in zip(model.state_dict().items(), prior.levels.state_dict().values()):
        assert torch.equal(value.half().float(), kept), name
    assert prior.fingerprint != without.fingerprint  # what it makes depends on it


def test_a_level_model_that_does_not_fit_its_sizes_is_refused(saved, tmp_path):
    with safe_open(str(saved), framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    path = tmp_path / "bad.safetensors"
    for sizes in ({"channels": 16}, {"channels": 10 ** 12}, {"depth": 3}, [8], "8"):
        save_file(tensors, path, metadata | {"levels": json.dumps(sizes)})
        with pytest.raises(PriorError, match="cannot be used as a prior"):
            load_prior(path)


@pytest.mark.parametrize("preset", ["piano", "tenor", "soprano"])
def test_embedded_priors_have_one(preset):
    path = load_preset(preset).prior_path
    assert load_prior(path).levels is not None and path.stat().st_size < 10e6
