"""Training of level models: examples, steps that teach, runs that go on, and the file they leave."""

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx.priors import load_prior
from babe2_fx.priors.levels import NO_NOISE_DB, LevelModel, Levels
from babe2_fx.spectra.cells import band_centres_hz
from babe2_fx.training.cell_config import LevelTraining
from babe2_fx.training.cell_models import train_levels
from babe2_fx.training.config import TrainingError
from babe2_fx.training.level_examples import FRAMES, level_example, level_loss


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_notes):
    data = tmp_path_factory.mktemp("data")
    for name, count in (("real", 3), ("rendered", 2), ("heldout", 1)):
        (data / name).mkdir()
        for i in range(count):
            soundfile.write(data / name / f"{i}.flac", make_notes(22050, 4.0, seed=10 * count + i).T, 22050)
    return data


@pytest.fixture(scope="module")
def base():
    from babe2_fx.catalogue.presets import load_preset
    return load_preset("piano").prior_path


def examples(count, **changes):
    rng = np.random.default_rng(0)
    clean = -40 + 10 * rng.normal(size=(249, FRAMES))
    return [level_example(clean, rng) for _ in range(count)]


def test_examples_hide_what_lies_above_a_limit_and_sometimes_below_a_cut():
    hz, cuts = band_centres_hz(), 0
    for example in examples(60):
        known = example.known[:, 0] > 0
        assert 1400 < hz[known].max() < 7000 and (example.known == example.known[:, :1]).all()
        assert known[(hz > hz[known].min()) & (hz < hz[known].max())].all()
        cuts += hz[known].min() > 87
    assert 5 < cuts < 35


def test_examples_are_relative_to_what_is_known_and_say_how_loud_the_noise_is():
    quiet = noisy = 0
    for example in examples(60):
        known = np.repeat(example.known > 0, 3, axis=0)
        assert 10 * np.log10((10 ** (example.target_db[known] / 10)).mean()) == pytest.approx(0, abs=0.6)
        floor = example.noise_db[example.known > 0]
        if floor.max() == NO_NOISE_DB:
            quiet += 1
        else:
            noisy += 1
            assert example.level_db[known].min() > floor.min() - 25
    assert quiet > 5 and noisy > 25


def test_the_loss_is_least_for_the_right_levels_and_an_honest_variance():
    known, target = torch.zeros(1, 83, 4), torch.randn(1, 249, 4, generator=torch.Generator().manual_seed(0)) * 5
    off = target + torch.distributions.Laplace(0, 4 / 2 ** 0.5).sample(target.shape)

    def loss(mean, deviation_db):
        return float(level_loss(Levels(mean, torch.full_like(mean, 2 * np.log(deviation_db))), known, target))
    assert loss(target, 1) < loss(off, 4) < min(loss(off, 2), loss(off, 8))
    known[:, :40] = 1
    known_wrong, unknown_wrong = target.clone(), target.clone()
    known_wrong[:, :120] += 5
    unknown_wrong[:, 129:] += 5
    assert loss(known_wrong, 2) < loss(unknown_wrong, 2)


def test_a_run_leaves_a_prior_with_the_model_and_its_base_as_it_was(folder, base, tmp_path):
    before, out = base.read_bytes(), tmp_path / "out.safetensors"
    run = train_levels(folder, out, base, LevelTraining(minutes=0.05, batch=2, credit="Made for this test."))
    losses = [now.loss for now in run if now.stage == "training"]
    assert run.value["steps"] == len(losses) and run.value["held_out_recordings"] == 1
    made, old = load_prior(out), load_prior(base)
    assert isinstance(made.levels, LevelModel) and made.info["levels"]["training"]["credit"] == "Made for this test."
    assert all(torch.equal(a, b) for a, b in zip(made.network.state_dict().values(), old.network.state_dict().values()))
    assert torch.equal(made.ltas, old.ltas) and torch.equal(made.emphasis.gain_db, old.emphasis.gain_db)
    assert base.read_bytes() == before


def test_an_interrupted_run_goes_on_where_it_was(folder, base, tmp_path):
    out, config = tmp_path / "out.safetensors", LevelTraining(minutes=10, batch=1)
    run = train_levels(folder, out, base, config)
    steps = [now.step for now in (next(run) for _ in range(12)) if now.stage == "training"]
    run.close()
    assert not out.exists() and (tmp_path / "out.run" / "state.pt").exists()
    again = train_levels(folder, out, base, config)
    going_on = next(now for now in again if now.stage == "training")
    again.close()
    assert going_on.step == steps[-1] + 1
    with pytest.raises(TrainingError, match="started with batch = 1, not 2"):
        train_levels(folder, out, base, config.replace(batch=2)).finish()


def test_mistakes_are_named(folder, base, tmp_path):
    with pytest.raises(TrainingError, match="no training setting called 'channels'"):
        LevelTraining().replace(channels=3)
    with pytest.raises(TrainingError, match="must be a file NAME.safetensors"):
        train_levels(folder, tmp_path / "out.pt", base).finish()
    copy = tmp_path / "base.safetensors"
    copy.write_bytes(base.read_bytes())
    with pytest.raises(TrainingError, match="is the prior to start from"):
        train_levels(folder, copy, copy).finish()
    short = tmp_path / "short"
    short.mkdir()
    for i in range(2):
        soundfile.write(short / f"{i}.wav", np.random.default_rng(i).normal(size=30000) * 0.1, 22050)
    with pytest.raises(TrainingError, match="holds no recording of at least 3 s"):
        train_levels(short, tmp_path / "out.safetensors", base).finish()
